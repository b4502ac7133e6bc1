"""Datagrams that are sent from leases: with the kernel's copy, or without where the network can."""

import asyncio
import contextlib
import json
import os
import socket
from types import SimpleNamespace

import namespaces
import pytest
from peers import payload, script
from recording import DatagramRecorder

pytestmark = pytest.mark.zcloop_only

SIZE = 40_000


@contextlib.asynccontextmanager
async def endpoint(**options):
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(DatagramRecorder, **options)
    try:
        yield transport, protocol
    finally:
        transport.abort()
        await protocol.lost()


@contextlib.asynccontextmanager
async def sender_and_receiver(mode, is_connected):
    """What sends by `mode`; `send(data, is_lent)`; and the protocol that receives."""
    async with endpoint(local_addr=("127.0.0.1", 0)) as (other, received):
        address = other.get_extra_info("sockname")
        options = {"remote_addr": address} if is_connected else {"local_addr": ("127.0.0.1", 0)}
        async with endpoint(**options) as (transport, _):
            transport.set_zero_copy_send(mode)

            def send(data, is_lent=True):
                to = None if is_connected else address
                if is_lent:
                    with transport.reserve(len(data)) as view:
                        view[:] = data
                        transport.sendto(view, to)
                else:
                    transport.sendto(data, to)

            yield transport, send, received


async def settled():
    """Nothing is lent, and no notification owed."""
    loop = asyncio.get_running_loop()
    while loop.leases() or loop.statistics()["notifying"]:
        await asyncio.sleep(0)


def statistics(transport):
    return SimpleNamespace(**transport.lease_statistics())


both = pytest.mark.parametrize("is_connected", [True, False], ids=["connected", "to"])


@both
async def test_to_the_same_machine_the_kernel_is_not_asked(is_connected):
    async with sender_and_receiver("auto", is_connected) as (transport, send, received):
        send(payload(SIZE))
        assert await received.received(1) == [payload(SIZE)]
        found = statistics(transport)
        assert (found.sent_bytes, found.kernel_copied_bytes, found.leases) == (SIZE, 0, 0)


@pytest.mark.needs("send_zero_copy")
@both
async def test_loopback_reports_that_it_copied(is_connected):
    async with sender_and_receiver("always", is_connected) as (transport, send, received):
        send(payload(SIZE))
        send(payload(1023))
        assert await received.received(2) == [payload(SIZE), payload(1023)]
        await settled()
        found = statistics(transport)
        assert (found.kernel_copied_bytes, found.sent_bytes) == (SIZE, 1023)
        assert found.sent_zero_copy_bytes == found.held == 0


@both
@pytest.mark.parametrize("is_at_once", [True, False])
async def test_order_is_kept_between_leases_and_bytes(is_connected, is_at_once):
    async with sender_and_receiver("always", is_connected) as (_, send, received):
        for start in range(0, 200, 10):
            for number in range(start, start + 10):
                send(payload(1 + number * 40, number), is_lent=number % 3 != 0)
                if not is_at_once:
                    await asyncio.sleep(0)
            await received.received(start + 10)
        assert received.datagrams == [payload(1 + number * 40, number) for number in range(200)]
        await settled()


async def test_a_reservation_is_held_while_others_are_made():
    async with sender_and_receiver("always", False) as (_, send, received):
        for number in range(4):
            send(bytes([number]) * SIZE)
        assert await received.received(4) == [bytes([number]) * SIZE for number in range(4)]
        await settled()


async def test_an_error_of_a_send_is_told_and_the_next_goes_out():
    async with sender_and_receiver("always", False) as (transport, send, received):
        with transport.reserve(70_000) as view:
            transport.sendto(view, received.transport.get_extra_info("sockname"))
        with transport.reserve(SIZE) as view:
            transport.sendto(view, ("127.0.0.1", 0))
        send(b"next")
        assert await received.received(1) == [b"next"]
        errors = transport.get_protocol().errors
        assert [type(error) for error in errors] == [OSError, OSError]
        await settled()


@pytest.mark.needs("send_zero_copy")
async def test_a_unix_socket_is_sent_to_with_a_copy_and_others_go_on_without(tmp_path):
    path = str(tmp_path / "to")
    async with (
        endpoint(family=socket.AF_UNIX, local_addr=path) as (_, received),
        endpoint(family=socket.AF_UNIX, remote_addr=path) as (transport, _),
        sender_and_receiver("always", True) as (other, send, heard),
    ):
        transport.set_zero_copy_send("always")
        for number in range(3):
            with transport.reserve(SIZE) as view:
                view[:] = payload(SIZE, number)
                transport.sendto(view)
        assert await received.received(3) == [payload(SIZE, number) for number in range(3)]
        assert statistics(transport).sent_bytes == 3 * SIZE
        send(payload(SIZE))
        await heard.received(1)
        await settled()
        assert statistics(other).kernel_copied_bytes == SIZE


@pytest.mark.parametrize("end", ["abort", "close"])
async def test_an_end_with_datagrams_in_flight_gives_the_memory_back(end):
    async with sender_and_receiver("always", True) as (transport, send, received):
        for number in range(4):
            send(payload(SIZE, number))
        await asyncio.sleep(0)
        getattr(transport, end)()
        await transport.get_protocol().lost()
        if end == "close":
            assert len(await received.received(4)) == 4
        await settled()


def test_a_datagram_in_flight_goes_out_in_the_next_run(loop):
    async def begin():
        context = sender_and_receiver("always", True)
        _, send, received = await context.__aenter__()
        for number in range(3):
            send(payload(SIZE, number))
        return context, received

    context, received = loop.run_until_complete(begin())
    wanted = [payload(SIZE, number) for number in range(3)]
    assert loop.run_until_complete(received.received(3)) == wanted
    loop.run_until_complete(context.__aexit__(None, None, None))
    loop.run_until_complete(settled())


NETWORK = """
    import asyncio, json, os, socket, sys
    sys.path.insert(0, sys.argv[1])
    import namespaces, zcloop

    SIZE, COUNT = 40_000, 32

    def serve(ready):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("10.9.9.2", 7000))
            ready()
            for index in range(COUNT):
                data, address = server.recvfrom(65536)
                if data != bytes([index]) * SIZE:
                    return False
                server.sendto(b"next", address)
        return True

    child = namespaces.fork_host(serve, is_xdp=sys.argv[2] == "xdp", mtu=int(sys.argv[3]))
    acknowledged = asyncio.Queue()

    class Protocol(asyncio.DatagramProtocol):
        def datagram_received(self, data, address):
            acknowledged.put_nowait(data)

    async def main():
        loop = asyncio.get_running_loop()
        options = {"remote_addr": ("10.9.9.2", 7000)} if sys.argv[4] == "connected" else {
            "local_addr": ("0.0.0.0", 0)}
        transport, _ = await loop.create_datagram_endpoint(Protocol, **options)
        for index in range(COUNT):
            with transport.reserve(SIZE) as view:
                view[:] = bytes([index]) * SIZE
                transport.sendto(view, ("10.9.9.2", 7000))
            await acknowledged.get()
        while loop.statistics()["notifying"]:
            await asyncio.sleep(0)
        print(json.dumps({**transport.lease_statistics(), "pinned": loop.statistics()["pinned"]}))
        transport.close()

    zcloop.run(main())
    sys.exit(os.waitpid(child, 0)[1])
"""


def sent_over_veth(*arguments):
    helpers = os.path.dirname(namespaces.__file__)
    return SimpleNamespace(**json.loads(script(NETWORK, helpers, *arguments)))


@pytest.mark.needs("send_zero_copy")
@namespaces.needed
@pytest.mark.parametrize("how", ["connected", "to"])
def test_over_a_network_that_can_nothing_is_copied(how):
    found = sent_over_veth("xdp", "65535", how)
    assert found.sent_zero_copy_bytes == 32 * SIZE
    assert found.kernel_copied_bytes == found.sent_bytes == found.copied_bytes == 0
    assert found.pinned > 0


@pytest.mark.needs("send_zero_copy")
@namespaces.needed
@pytest.mark.parametrize(("kind", "mtu"), [("plain", "65535"), ("xdp", "1500")])
def test_where_it_is_copied_it_is_given_up_at_the_first_report(kind, mtu):
    """A plain veth copies, and whatever is sent in fragments is copied."""
    found = sent_over_veth(kind, mtu, "connected")
    assert SIZE <= found.kernel_copied_bytes <= 2 * SIZE
    assert found.kernel_copied_bytes + found.sent_bytes == 32 * SIZE
    assert found.sent_zero_copy_bytes == 0
