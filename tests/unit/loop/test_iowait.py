"""A loop that waits for messages does not count as one that waits for a disk."""

import asyncio
import threading
import time
from pathlib import Path

import pytest
from waits import block_until

import zcloop
from zcloop._native.ring.uring import UringRing as Ring

FEAT_NO_IOWAIT = 1 << 17  # since Linux 6.15


def blocked():
    """Threads of the machine that wait for I/O in the sense of iowait."""
    lines = Path("/proc/stat").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("procs_blocked"))


def is_free(seconds):
    """Whether at some moment nobody is blocked; others may wait for a disk now and then."""
    deadline = time.monotonic() + seconds
    while blocked():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


@pytest.mark.needs("uring")
@pytest.mark.zcloop_only
def test_an_idle_loop_is_idle():
    ring = Ring(4, 8)
    features = ring.features
    ring.close()
    if not features & FEAT_NO_IOWAIT:
        pytest.skip("Linux 6.15 has brought IORING_ENTER_NO_IOWAIT")
    if not is_free(3):
        pytest.skip("another process waits for a disk, or in an io_uring, all the time")
    loop = zcloop.new_event_loop()
    server = loop.run_until_complete(loop.create_server(asyncio.Protocol, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        block_until(lambda: loop.statistics()["sleeps"])
        time.sleep(0.05)
        assert is_free(5)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        loop.run_until_complete(server.wait_closed())
        loop.close()
