"""Memory is pinned within RLIMIT_MEMLOCK, and used unpinned beyond it."""

import json
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.zcloop_only

# An ordinary user: no CAP_IPC_LOCK, so that the limit counts. `loops` run at once, each lends.
PROGRAM = textwrap.dedent("""
    import asyncio, ctypes, json, logging, resource, socket, sys, threading
    limit, loops = int(sys.argv[1]), int(sys.argv[2])
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    if ctypes.CDLL(None).capset(header, (ctypes.c_uint32 * 6)()) != 0:
        sys.exit("capset")
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (limit, limit))
    logging.basicConfig(stream=sys.stderr)
    import zcloop

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


def run(limit, loops):
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM, str(limit), str(loops)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(done.stdout), done.stderr


def test_four_loops_of_an_ordinary_user_are_pinned():
    pinned, log = run(8 << 20, 4)
    assert pinned == [1536 * 1024] * 4
    assert "pinned" not in log


def test_beyond_the_limit_memory_is_used_unpinned_and_that_is_said_once():
    pinned, log = run(1 << 20, 2)
    assert pinned == [0, 0]
    assert log.count("could not be pinned") == 1
    assert "ulimit -l" in log


def test_without_any_limit_to_spare_a_loop_runs_if_the_kernel_makes_a_ring():
    ((pinned,), log) = run(0, 1)
    if isinstance(pinned, str):
        assert "RLIMIT_MEMLOCK" in pinned or "ulimit" in pinned
    else:
        assert pinned == 0
        assert log.count("could not be pinned") == 1
