"""What a program may do wrong with leases: a clear error, and nothing corrupted."""

import asyncio
import gc

import pytest
from lending import LeaseRecorder, is_balanced
from peers import connection, io_passed, payload, script, unix_pair

import zcloop

pytestmark = pytest.mark.zcloop_only


def keeper():
    return LeaseRecorder(keeps=True, copybreak=0)


async def lend(protocol, peer, size=5000):
    before = len(protocol.data)
    peer.send(payload(size))
    await protocol.received(before + size)
    return protocol.views[-1]


async def test_use_after_release_is_a_value_error_for_every_use():
    async with connection(keeper, unix_pair) as (transport, protocol, peer):
        view = await lend(protocol, peer)
        view.release()
        view.release()
        for use in (bytes, len, memoryview, transport.write, lambda view: view[0]):
            with pytest.raises(ValueError, match="released"):
                use(view)
        await lend(protocol, peer)
        assert bytes(protocol.views[-1]) == payload(5000)
        protocol.release()


async def test_a_part_that_is_kept_stays_what_it_was_while_others_come():
    async with connection(keeper, unix_pair) as (_, protocol, peer):
        view = await lend(protocol, peer)
        with view:
            part = view[100:200]
        for _ in range(100):
            await lend(protocol, peer)
            protocol.release()
        assert part == payload(5000)[100:200]
        part.release()


def test_the_memory_outlives_the_loop():
    async def main():
        async with connection(keeper, unix_pair) as (transport, protocol, peer):
            await lend(protocol, peer)
            reserved = transport.reserve(100)
            return protocol.views, reserved

    views, reserved = zcloop.run(main())
    gc.collect()
    assert b"".join(views) == payload(5000)
    reserved[:] = bytes(100)
    views[0][0] = 1
    for view in (*views, reserved):
        view.release()


def test_reserving_from_a_closed_loop_is_a_runtime_error():
    async def main():
        async with connection(keeper, unix_pair) as (transport, _, _):
            return transport

    transport = zcloop.run(main())
    with pytest.raises(RuntimeError, match="closed"):
        transport.reserve(1)


async def test_leases_in_a_cycle_come_back_when_collected():
    async with connection(keeper, unix_pair) as (transport, protocol, peer):
        for _ in range(20):
            await lend(protocol, peer)
        protocol.views.append(protocol.views)
        protocol.views = []
        gc.collect()
        await io_passed()
        assert transport.lease_statistics()["leases"] == 0
        assert is_balanced(asyncio.get_running_loop().statistics(), "pool_")


FORK = """
import ctypes, gc, struct, zcloop

def in_child(function):
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            function()
            status = 0
        except BaseException:
            import traceback; traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

def raises(kind, text, use, *arguments):
    try:
        use(*arguments)
    except kind as error:
        assert text in str(error), error
    else:
        raise AssertionError("no error")

class Keeps(zcloop.ZeroCopyProtocol):
    def __init__(self):
        self.views = []
        self.done = asyncio.get_running_loop().create_future()
    def connection_made(self, transport):
        self.transport = transport
        transport.set_lease_limits(copybreak=0, quota=%d)
    def buffer_received(self, view):
        self.views.append(view)
        if not self.done.done():
            self.done.set_result(None)

async def main():
    loop = asyncio.get_running_loop()
    ours, peer = socket.socketpair()
    region = zcloop.Region(1 << 20)
    reserved = region.reserve(100)
    exported = (ctypes.c_uint8 * 100).from_buffer(reserved)
    transport, protocol = await loop.create_connection(Keeps, sock=ours)
    peer.send(b"x" * 5000)
    await protocol.done
    reserved[:] = b"r" * 100
    exported_from = reserved
    view, part = protocol.views[0], protocol.views[0][10:]
    other = transport.reserve(100)
    frozen, casted = region.reserve(100), view.cast("I")
    untracked = memoryview(other)
    gc.freeze()

    def child():
        raises(ValueError, "released", len, exported_from)
        for each in (view, part, other, frozen, casted, untracked):
            raises(ValueError, "released", bytes, each)
            raises(ValueError, "released", transport.write, each)
        assert bytes(exported) == bytes(100)
        exported[0] = 1
        for use in (region.reserve, transport.reserve):
            raises(RuntimeError, "belongs to the parent process", use, 10)
        raises(RuntimeError, "belongs to the parent process", transport.associate, region)
        region.leases(), region.statistics()
        protocol.views.clear()
        gc.collect()
        with zcloop.Region(4096) as own, own.reserve(10) as mine:
            mine[:] = b"0123456789"

    in_child(child)
    assert view == b"x" * 5000 and part == b"x" * 4990 and reserved == b"r" * 100
    other[:] = b"o" * 100
    transport.write(other)
    assert await loop.run_in_executor(None, peer.recv, 100) == b"o" * 100
    for each in (view, part, other, frozen, casted, untracked):
        each.release()
    exported = None
    reserved.release()
    region.close()
    transport.abort()
    peer.close()
    await asyncio.sleep(0.001)
    assert loop.leases() == []
    print("parent")

zcloop.run(main())
"""


@pytest.mark.parametrize("quota", [1, 1 << 20])
def test_views_end_in_a_forked_child_and_the_parent_goes_on(quota):
    assert script(FORK % quota) == "parent\n"
