"""A peer that never acknowledges: the network stack keeps what was sent in place."""

import os
import shutil

import namespaces
import pytest
from peers import script

pytestmark = [
    pytest.mark.zcloop_only,
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("ip") is None,
        reason="takes the loopback of a network namespace down: needs root and iproute2",
    ),
]

# In a namespace of its own; with its loopback down what is written stays unacknowledged.
PROGRAM = """
    import gc, threading, time, weakref
    sys.path.insert(0, sys.argv[1])
    import namespaces

    namespaces.enter_namespace()
    namespaces.ip("link", "set", "lo", "up")
    server = socket.create_server(("127.0.0.1", 0))

    async def send():
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(asyncio.Protocol, *server.getsockname())
        transport.set_zero_copy_send("always")
        namespaces.ip("link", "set", "lo", "down")
        with transport.reserve(64 * 1024) as view:
            transport.write(view)
        await asyncio.sleep(0.01)
        assert loop.statistics()["notifying"] == 1 and transport.get_write_buffer_size() == 0
        transport.abort()
        await asyncio.sleep(0.01)

    loop = new_event_loop()
    loop.run_until_complete(send())
    if sys.argv[2] == "move":
        thread = threading.Thread(target=loop.run_until_complete, args=(asyncio.sleep(0.01),))
        thread.start()
        thread.join()
        assert loop.statistics()["quarantined"] == 1
    start = time.monotonic()
    loop.close()
    assert time.monotonic() - start < 1
    assert (loop.channel.notifying, loop.channel.quarantined) == (0, 1)
    pool = loop.channel.pool
    assert [lease["size"] for lease in pool.leases()] == [64 * 1024]
    seen = weakref.ref(loop)
    del loop
    gc.collect()
    assert seen() is None, gc.get_referrers(seen())
    assert len(pool.leases()) == 1
    server.close()
"""


@pytest.mark.needs("send_zero_copy")
@pytest.mark.parametrize("end", ["close", "move"])
def test_memory_that_the_network_has_is_kept_and_nothing_else(end):
    script(PROGRAM, os.path.dirname(namespaces.__file__), end)
