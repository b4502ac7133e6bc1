"""What is written from a lease: with the kernel's copy, or without where the network can."""

import asyncio
import json
import os
from types import SimpleNamespace

import namespaces
import pytest
from peers import connection, payload, receive_exactly, script, unix_pair
from waits import until

import zcloop

pytestmark = pytest.mark.zcloop_only

SIZE = 128 * 1024


async def write_leases(transport, peer, sizes):
    """Write a lease of each size, released at once; the peer checks every byte."""
    for seed, size in enumerate(sizes):
        data = payload(size, seed)
        with transport.reserve(size) as view:
            view[:] = data
            transport.write(view)
        assert await receive_exactly(peer, size) == data


def statistics(transport):
    return SimpleNamespace(**transport.lease_statistics())


async def notified():
    """Return when the kernel has said of each lease whether it copied, and lets go of it."""
    loop = asyncio.get_running_loop()
    await until(lambda: not (loop.leases() or loop.statistics()["notifying"]))


async def test_to_the_same_machine_the_kernel_is_not_asked():
    async with connection(asyncio.Protocol) as (transport, _, peer):
        await write_leases(transport, peer, [SIZE] * 4)
        found = statistics(transport)
        assert found.sent_bytes == 4 * SIZE
        assert found.kernel_copied_bytes == found.sent_zero_copy_bytes == found.leases == 0


@pytest.mark.needs("send_zero_copy")
async def test_loopback_reports_that_it_copied():
    async with connection(asyncio.Protocol) as (transport, _, peer):
        transport.set_zero_copy_send("always")
        await write_leases(transport, peer, [SIZE, 5_000_000, 4096])
        await notified()
        found = statistics(transport)
        assert found.kernel_copied_bytes == SIZE + 5_000_000 + 4096
        assert found.sent_zero_copy_bytes == found.sent_bytes == found.leases == 0


@pytest.mark.needs("send_zero_copy")
@pytest.mark.parametrize("size", [4096, 10_000, 40_000])
async def test_leases_of_several_transports_in_one_turn_are_sent_as_each_wants(size):
    async with (
        connection(asyncio.Protocol) as (always, _, peer),
        connection(asyncio.Protocol) as (auto, _, other),
    ):
        always.set_zero_copy_send("always")
        for transport in (always, auto):
            with transport.reserve(size) as view:
                view[:] = payload(size)
                transport.write(view)
        for end in (peer, other):
            assert await receive_exactly(end, size) == payload(size)
        await notified()
        assert statistics(always).kernel_copied_bytes == statistics(auto).sent_bytes == size
        assert statistics(always).sent_bytes == statistics(auto).kernel_copied_bytes == 0


async def test_a_socket_that_cannot_is_sent_to_with_a_copy():
    async with connection(asyncio.Protocol, unix_pair) as (transport, _, peer):
        transport.set_zero_copy_send("always")
        await write_leases(transport, peer, [SIZE, SIZE])
        assert statistics(transport).sent_zero_copy_bytes == 0


async def test_order_is_kept_between_leases_and_bytes():
    async with connection(asyncio.Protocol) as (transport, _, peer):
        transport.set_zero_copy_send("always")
        expected = b""
        for seed in range(40):
            data = payload(1 + seed * 3000, seed)
            expected += data
            if seed % 3 == 0:
                transport.write(data)
            else:
                with transport.reserve(len(data)) as view:
                    view[:] = data
                    transport.write(view)
        assert await receive_exactly(peer, len(expected)) == expected


@pytest.mark.parametrize("end", ["abort", "close"])
async def test_an_end_with_a_send_in_flight_gives_the_memory_back(end):
    async with connection(asyncio.Protocol) as (transport, _, peer):
        transport.set_zero_copy_send("always")
        size = 32 << 20
        with transport.reserve(size) as view:
            transport.write(view)
        await asyncio.sleep(0)
        getattr(transport, end)()
        if end == "close":
            await receive_exactly(peer, size)
        peer.close()
        await notified()


def test_a_send_in_flight_goes_on_in_the_next_run(loop):
    async def begin():
        context = connection(asyncio.Protocol)
        transport, _, peer = await context.__aenter__()
        transport.set_zero_copy_send("always")
        with transport.reserve(8 << 20) as view:
            view[:] = payload(8 << 20)
            transport.write(view)
        await asyncio.sleep(0)
        return context, peer

    context, peer = loop.run_until_complete(begin())
    assert loop.run_until_complete(receive_exactly(peer, 8 << 20)) == payload(8 << 20)
    loop.run_until_complete(context.__aexit__(None, None, None))


@pytest.mark.parametrize("mode", ["sometimes", "", "ALWAYS"])
async def test_an_unknown_mode_is_a_value_error(mode):
    async with connection(asyncio.Protocol) as (transport, _, _peer):
        with pytest.raises(ValueError, match="auto, always, never"):
            transport.set_zero_copy_send(mode)


NETWORK = """
    import asyncio, json, os, socket, sys
    sys.path.insert(0, sys.argv[1])
    import namespaces, zcloop

    SIZE, COUNT = 128 * 1024, 32

    def serve(ready):
        with socket.create_server(("10.9.9.2", 7000)) as server:
            ready()
            peer, _ = server.accept()
        received = b""
        with peer:
            while data := peer.recv(1 << 20):
                received += data
        return received == b"".join(bytes([index]) * SIZE for index in range(COUNT))

    child = namespaces.fork_host(serve, is_xdp=sys.argv[2] == "xdp", mtu=1500)

    async def main():
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(asyncio.Protocol, "10.9.9.2", 7000)
        for index in range(COUNT):
            with transport.reserve(SIZE) as view:
                view[:] = bytes([index]) * SIZE
                transport.write(view)
            while transport.get_write_buffer_size():
                await asyncio.sleep(0.001)
        while loop.statistics()["notifying"]:
            await asyncio.sleep(0.001)
        print(json.dumps({**transport.lease_statistics(), "pinned": loop.statistics()["pinned"]}))
        transport.close()

    zcloop.run(main())
    sys.exit(os.waitpid(child, 0)[1])
"""


def sent_over_veth(kind):
    helpers = os.path.dirname(namespaces.__file__)
    return SimpleNamespace(**json.loads(script(NETWORK, helpers, kind)))


@pytest.mark.needs("send_zero_copy")
@namespaces.needed
def test_over_a_network_that_can_nothing_is_copied():
    found = sent_over_veth("xdp")
    assert found.sent_zero_copy_bytes == 32 * SIZE
    assert found.kernel_copied_bytes == found.sent_bytes == found.copied_bytes == 0
    assert found.pinned > 0


@pytest.mark.needs("send_zero_copy")
@namespaces.needed
def test_over_a_network_that_cannot_it_is_given_up_at_the_first_report():
    found = sent_over_veth("plain")
    # The report comes when the peer has acknowledged: some more may have been sent meanwhile.
    assert SIZE <= found.kernel_copied_bytes <= 4 * SIZE
    assert found.kernel_copied_bytes + found.sent_bytes == 32 * SIZE
    assert found.sent_zero_copy_bytes == 0


def test_never_means_a_copy():
    async def main():
        async with connection(asyncio.Protocol) as (transport, _, peer):
            transport.set_zero_copy_send("never")
            await write_leases(transport, peer, [SIZE])
            assert statistics(transport).sent_bytes == SIZE

    zcloop.run(main())
