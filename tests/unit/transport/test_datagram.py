"""Datagram endpoints: boundaries, addresses, order, errors."""

import asyncio
import contextlib
import ctypes
import socket

import pytest
from peers import payload, unix_pair
from recording import DatagramRecorder


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
async def two_endpoints(host="127.0.0.1"):
    """(transport, protocol) of an unconnected one, and of one that is connected to it."""
    async with endpoint(local_addr=(host, 0)) as server:
        address = server[0].get_extra_info("sockname")
        async with endpoint(remote_addr=address[:2]) as client:
            yield server, client


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_datagrams_come_with_their_senders_address(host):
    async with two_endpoints(host) as ((server, received), (client, answered)):
        client.sendto(b"question")
        await received.received(1)
        (_, data, address) = received.calls[1]
        assert (data, address) == (b"question", client.get_extra_info("sockname"))
        server.sendto(b"answer", address)
        assert await answered.received(1) == [b"answer"]
        assert answered.calls[1][2] == server.get_extra_info("sockname")
        assert client.get_extra_info("peername") == server.get_extra_info("sockname")
        assert server.get_extra_info("peername") is None


@pytest.mark.parametrize("size", [1, 1472, 16_384, 65_507])
async def test_datagrams_of_every_size_arrive_whole(size):
    async with two_endpoints() as ((server, received), (client, answered)):
        data = payload(size)
        client.sendto(data)
        assert (await received.received(1))[0] == data
        server.sendto(data, client.get_extra_info("sockname"))
        assert (await answered.received(1))[0] == data


@pytest.mark.zcloop_only  # asyncio sends empty datagrams since 3.13
async def test_an_empty_datagram_is_a_datagram():
    async with two_endpoints() as ((_, received), (client, _)):
        client.sendto(b"")
        client.sendto(b"not empty")
        assert await received.received(2) == [b"", b"not empty"]


async def test_a_datagram_that_is_too_large_is_an_error_of_its_own():
    async with two_endpoints() as ((_, received), (client, protocol)):
        for count in (1, 3, 10):
            protocol.calls.clear()
            received.calls.clear()
            for _ in range(count):
                client.sendto(bytes(65_508))
                client.sendto(b"fits")
            await protocol.until(lambda count=count: len(protocol.errors) == count)
            assert all(isinstance(error, OSError) for error in protocol.errors)
            assert await received.received(count) == [b"fits"] * count


@pytest.mark.parametrize("connected", [False, True])
async def test_a_batch_of_a_thousand_sent_in_one_turn_keeps_its_order(connected):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        receiver.bind(("127.0.0.1", 0))
        receiver.setblocking(False)
        address = receiver.getsockname()
        where = {"remote_addr": address} if connected else {"local_addr": ("127.0.0.1", 0)}
        loop = asyncio.get_running_loop()
        got = []
        done = loop.create_future()

        def reader():
            with contextlib.suppress(BlockingIOError):
                while True:
                    got.append(receiver.recv(100))
            if len(got) == 1000 and not done.done():
                done.set_result(None)

        async with endpoint(**where) as (transport, _):
            loop.add_reader(receiver, reader)
            for number in range(1000):
                transport.sendto(b"%d" % number, *([] if connected else [address]))
                if number % 250 == 249:
                    await asyncio.sleep(0)
            await done
            loop.remove_reader(receiver)
        assert got == [b"%d" % number for number in range(1000)]


async def test_a_burst_that_arrives_at_once_is_delivered_in_order():
    async with endpoint(local_addr=("127.0.0.1", 0)) as (transport, protocol):
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number in range(500):
                sender.sendto(b"%d" % number, transport.get_extra_info("sockname"))
        wanted = [b"%d" % number for number in range(500)]
        assert await protocol.received(500) == wanted


async def test_a_refused_send_of_a_connected_endpoint_is_received_as_error():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        address = unused.getsockname()
    async with endpoint(remote_addr=address) as (transport, protocol):
        for count in range(1, 4):
            transport.sendto(b"nobody listens")
            await protocol.until(lambda count=count: len(protocol.errors) >= count)
        assert all(isinstance(error, ConnectionRefusedError) for error in protocol.errors)
        assert not transport.is_closing()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as late:
            late.bind(address)
            late.sendto(b"now", transport.get_extra_info("sockname"))
            assert await protocol.received(1) == [b"now"]


async def test_the_address_of_a_connected_endpoint_may_be_given_but_no_other():
    async with two_endpoints() as ((server, received), (client, _)):
        address = server.get_extra_info("sockname")
        client.sendto(b"x", address)
        client.sendto(b"y", None)
        assert await received.received(2) == [b"x", b"y"]
        with pytest.raises(ValueError, match="Invalid address"):
            client.sendto(b"x", ("127.0.0.1", 1))


async def test_what_is_not_bytes_is_a_type_error_and_buffers_are_copied():
    async with two_endpoints() as ((_, received), (client, _)):
        for wrong in ("text", 5, None):
            with pytest.raises(TypeError):
                client.sendto(wrong)
        buffer = bytearray(b"array")
        client.sendto(buffer)
        client.sendto(memoryview(b"0123456789")[2:4])
        client.sendto(memoryview((ctypes.c_uint16 * 2)(1, 2)))
        buffer[:] = b"wrong"
        assert await received.received(3) == [b"array", b"23", b"\1\0\2\0"]


@pytest.mark.zcloop_only  # asyncio closes the endpoint
async def test_views_that_are_not_contiguous_are_sent_as_their_bytes():
    async with two_endpoints() as ((_, received), (client, _)):
        client.sendto(memoryview(b"0123456789")[::2])
        client.sendto_many([memoryview(b"0123456789")[::-1], b"0123456789"])
        assert await received.received(3) == [b"02468", b"9876543210", b"0123456789"]


async def test_unix_datagrams_arrive_in_order_with_their_path(tmp_path):
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    async with (
        endpoint(local_addr=one, family=socket.AF_UNIX) as (first, answers),
        endpoint(local_addr=two, family=socket.AF_UNIX) as (second, questions),
    ):
        assert first.get_extra_info("sockname") == one
        wanted = [b"%d" % number for number in range(100)]
        for number, data in enumerate(wanted):
            first.sendto(data, two)
            if number % 7 == 0:
                await asyncio.sleep(0)
        assert await questions.received(100) == wanted
        assert questions.calls[1][2] == one
        second.sendto(b"back", one)
        assert await answers.received(1) == [b"back"]


async def test_a_given_socket_is_used_and_closed():
    with unix_pair(socket.SOCK_DGRAM) as (ours, peer):
        async with endpoint(sock=ours) as (transport, protocol):
            for number in range(300):
                transport.sendto(b"%d" % number)
            for number in range(300):
                loop = asyncio.get_running_loop()
                assert await loop.sock_recv(peer, 100) == b"%d" % number
            peer.send(b"x")
            assert await protocol.received(1) == [b"x"]
        assert ours.fileno() == -1


async def test_options_of_the_endpoint_reach_the_socket():
    async with endpoint(local_addr=("127.0.0.1", 0), allow_broadcast=True) as (transport, _):
        sock = transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST) == 1
    async with endpoint(local_addr=("127.0.0.1", 0), reuse_port=True) as (transport, _):
        address = transport.get_extra_info("sockname")
        async with endpoint(local_addr=address, reuse_port=True):
            pass


async def test_a_host_name_is_resolved():
    async with endpoint(local_addr=("127.0.0.1", 0)) as (server, received):
        port = server.get_extra_info("sockname")[1]
        async with endpoint(local_addr=("127.0.0.1", 0)) as (client, _):
            client.sendto(b"x", ("localhost", port))
            assert await received.received(1) == [b"x"]
