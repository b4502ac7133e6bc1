"""RLIMIT_MEMLOCK counts pinned memory, and since Linux 6.13 rings, of all of a user's processes: no
loop fails for it, and none takes of it what it does not need."""

import json
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.zcloop_only

# An ordinary user: no CAP_IPC_LOCK, so that the limit counts. `loops` run at once, each lends.
ORDINARY_USER = textwrap.dedent("""
    import asyncio, ctypes, json, logging, os, resource, socket, sys, threading
    limit, loops = int(sys.argv[1]), int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (limit, limit))
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    if ctypes.CDLL(None).capset(header, (ctypes.c_uint32 * 6)()) != 0:
        sys.exit("capset")
    logging.basicConfig(stream=sys.stderr)
    import zcloop
""")
LENDING_LOOPS = textwrap.dedent("""
    class Echo(zcloop.ZeroCopyProtocol):
        def connection_made(self, transport):
            self.transport = transport
        def buffer_received(self, view):
            with view:
                self.transport.write(view)

    together = threading.Barrier(loops)
    pinned = []

    async def main():
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        transport, _ = await loop.create_connection(Echo, sock=ours)
        reader, writer = await asyncio.open_connection(sock=theirs)
        for size in (1, 10_000, 300_000):
            writer.write(bytes(size))
            assert await reader.readexactly(size) == bytes(size)
        pinned.append(loop.statistics()["pinned"])
        together.wait(10)
        writer.close()
        transport.close()

    def run():
        try:
            zcloop.run(main())
        except OSError as error:
            pinned.append(str(error))

    threads = [threading.Thread(target=run) for _ in range(loops)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(pinned))
""")


FEWER_ENTRIES = textwrap.dedent("""
    import errno, time
    from zcloop._native.ring.uring import UringRing as Ring

    try:
        Ring(256, 2048).close()
        is_enough = True
    except OSError as error:
        assert error.errno == errno.ENOMEM
        is_enough = False

    async def main():
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(asyncio.sleep(0.001) for _ in range(500)))
        sockets = [socket.socketpair() for _ in range(200)]     # more than a ring's entries
        for ours, theirs in sockets:
            ours.setblocking(False), theirs.setblocking(False)
        waits = [asyncio.create_task(loop.sock_recv(ours, 10)) for ours, _ in sockets]
        await asyncio.sleep(0)
        await asyncio.gather(*(loop.sock_sendall(theirs, b"word") for _, theirs in sockets))
        assert await asyncio.gather(*waits) == [b"word"] * len(sockets)
        for pair in sockets:
            pair[0].close(), pair[1].close()
        return loop.channel.ring.entries

    print(json.dumps([is_enough, zcloop.run(main())]))
""")

REGIONS = textwrap.dedent("""
    pinned = []
    for _ in range(loops):
        with zcloop.EventChannel(4) as channel, zcloop.Region(1 << 20) as region:
            file = os.memfd_create("file")
            os.write(file, b"words")
            with region.reserve(4096) as view:
                channel.read(file, view, 0)
                event = channel.wait(10)
                event.check()
                assert (event.result, bytes(view[:5])) == (5, b"words")
                pinned.append(channel.statistics()["pinned"])
                del event
            os.close(file)
    print(json.dumps(pinned))
""")


def run(program, limit, loops):
    done = subprocess.run(
        [sys.executable, "-P", "-c", ORDINARY_USER + program, str(limit), str(loops)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def test_loops_that_lend_pin_nothing_before_something_is_sent_in_place():
    """As many as an ordinary user likes: nine of them did not fit into the usual 8 MiB."""
    pinned, log = run(LENDING_LOOPS, 8 << 20, 12)
    assert (pinned, log) == ([0] * 12, "")


@pytest.mark.needs("uring")
def test_a_loop_for_whose_ring_there_is_no_room_has_a_smaller_one():
    (is_enough, entries), log = run(FEWER_ENTRIES, 40 << 10, 1)
    assert entries == (256 if is_enough else 64)
    assert log == ""


@pytest.mark.needs("registered_buffers")
def test_a_region_that_cannot_be_pinned_is_used_unpinned_and_that_is_said_once():
    pinned, log = run(REGIONS, 512 << 10, 3)
    assert pinned == [0, 0, 0]
    assert log.count("could not be pinned") == 1
    assert "ulimit -l" in log


@pytest.mark.needs("registered_buffers")
def test_within_the_limit_a_region_is_pinned():
    pinned, log = run(REGIONS, 4 << 20, 1)
    assert (pinned, log) == ([1 << 20], "")


def test_without_any_limit_to_spare_a_loop_runs_if_the_kernel_makes_a_ring():
    ((pinned,), _) = run(LENDING_LOOPS, 0, 1)
    if isinstance(pinned, str):
        assert "RLIMIT_MEMLOCK" in pinned or "ulimit" in pinned
    else:
        assert pinned == 0
