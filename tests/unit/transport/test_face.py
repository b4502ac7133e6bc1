"""What a program sees of a transport besides data."""

import asyncio
import contextlib
import gc
import socket
import warnings

import pytest
from peers import connection, gone, tcp_pair, unix_pair
from recording import DatagramRecorder, Echo, Recorder


@pytest.mark.zcloop_only  # asyncio's own datagram transport is no asyncio.DatagramTransport
async def test_transports_are_instances_of_asyncios_classes():
    async with connection(Recorder) as (transport, _, _):
        assert isinstance(transport, asyncio.Transport)
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        DatagramRecorder, local_addr=("127.0.0.1", 0)
    )
    assert isinstance(transport, asyncio.DatagramTransport)
    transport.close()
    await protocol.lost()


async def test_extra_info_tells_the_socket_and_both_addresses():
    async with connection(Recorder) as (transport, _, peer):
        sock = transport.get_extra_info("socket")
        assert isinstance(sock, asyncio.trsock.TransportSocket)
        assert (sock.family, sock.type) == (socket.AF_INET, socket.SOCK_STREAM)
        assert transport.get_extra_info("peername") == peer.getsockname()
        assert transport.get_extra_info("sockname") == peer.getpeername()
        assert transport.get_extra_info("unknown") is None
        assert transport.get_extra_info("unknown", "default") == "default"
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


async def test_a_paused_transport_says_so_by_asyncios_name_for_it():
    """Private, but programs read it, and so do CPython's own tests since 3.15."""
    async with connection(Recorder) as (transport, _, _):
        assert transport._paused is False
        transport.pause_reading()
        assert transport._paused is True
        transport.resume_reading()
        assert transport._paused is False


class Served(Echo):
    def connection_made(self, transport):
        super().connection_made(transport)
        self.loop = asyncio.get_running_loop()
        self.lost = self.loop.create_future()
        self.loop.served.set_result(self)

    def connection_lost(self, exc):
        self.lost.set_result(exc)


@pytest.mark.parametrize("asked_before", [True, False])
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_an_accepted_connections_extra_info_outlives_it(asked_before, address):
    loop = asyncio.get_running_loop()
    loop.served = loop.create_future()
    async with await loop.create_server(Served, address, 0) as server:
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        ours = writer.get_extra_info("sockname"), writer.get_extra_info("peername")
        protocol = await loop.served
        transport = protocol.transport
        if asked_before:
            assert transport.get_extra_info("socket").fileno() > 0
            assert transport.get_extra_info("peername") == ours[0]
        writer.close()
        await writer.wait_closed()
        await protocol.lost
        await gone(transport)
        assert transport.get_extra_info("peername") == ours[0]
        assert transport.get_extra_info("sockname") == ours[1]
        assert transport.get_extra_info("socket").fileno() == -1


async def test_unix_addresses_are_paths(tmp_path):
    loop = asyncio.get_running_loop()
    loop.served = loop.create_future()
    path = str(tmp_path / "socket")
    async with await loop.create_unix_server(Served, path) as server:
        assert server.sockets[0].getsockname() == path
        _, writer = await asyncio.open_unix_connection(path)
        assert writer.get_extra_info("peername") == path
        protocol = await loop.served
        assert protocol.transport.get_extra_info("sockname") == path
        assert protocol.transport.get_extra_info("peername") == ""
        writer.close()
        await writer.wait_closed()
        await protocol.lost


async def test_methods_can_be_replaced_on_an_instance():
    async with connection(Recorder) as (transport, _, _peer):
        written = []
        transport.write = written.append
        transport.write(b"caught")
        assert written == [b"caught"]
        transport.whatever = 1


async def test_the_repr_tells_the_state():
    async with connection(Recorder) as (transport, protocol, _):
        assert f"fd={transport.get_extra_info('socket').fileno()}" in repr(transport)
        transport.close()
        assert "closing" in repr(transport)
        await protocol.lost()
        await asyncio.sleep(0)
        assert "closed" in repr(transport)


async def test_everything_can_be_called_on_a_closed_transport():
    async with connection(Recorder) as (transport, protocol, _):
        transport.close()
        await protocol.lost()
        await asyncio.sleep(0)
        transport.close()
        transport.abort()
        transport.pause_reading()
        transport.resume_reading()
        transport.write(b"x")
        transport.write_eof()
        assert transport.is_closing() and not transport.is_reading()
        assert transport.get_write_buffer_size() == 0


async def left_open():
    """A client's transport that nobody holds; the raw socket of its peer."""
    ours, peer = socket.socketpair()
    await asyncio.get_running_loop().create_connection(Recorder, sock=ours)
    return peer


async def left_open_by_a_server():
    loop = asyncio.get_running_loop()
    loop.served = loop.create_future()
    server = await loop.create_server(Served, "127.0.0.1", 0)
    peer = socket.create_connection(server.sockets[0].getsockname())
    await loop.served
    server.close()
    return peer


@pytest.mark.parametrize("leave", [left_open, left_open_by_a_server])
def test_a_transport_left_open_warns_and_frees_its_descriptor(loop_factory, leave):
    loop = loop_factory()
    peer = loop.run_until_complete(leave())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loop.close()
        del loop
        gc.collect()
    assert len([w for w in caught if "unclosed transport" in str(w.message)]) == 1
    with peer:
        assert peer.recv(1) == b""


@pytest.mark.parametrize("end", ["close", "abort"])
def test_ending_a_transport_after_its_loop_leaves_no_descriptor(loop_factory, end):
    loop = loop_factory()
    ours, peer = socket.socketpair()
    with peer:
        transport, _ = loop.run_until_complete(loop.create_connection(asyncio.Protocol, sock=ours))
        loop.close()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with contextlib.suppress(RuntimeError):  # asyncio says that the loop is closed
                getattr(transport, end)()
            del transport, loop, ours
            gc.collect()
        peer.setblocking(False)
        assert peer.recv(1) == b""


def test_aborting_hundreds_at_once_and_closing_the_loop_frees_every_descriptor(loop_factory):
    async def main():
        loop = asyncio.get_running_loop()
        made = []
        for _ in range(300):
            ours, peer = socket.socketpair()
            peer.close()
            made.append(await loop.create_connection(KeepsOpen, sock=ours))
        for _, protocol in made:
            await protocol.until(lambda protocol=protocol: "eof_received" in protocol.names)
        for transport, _ in made:
            transport.write(b"x")
            transport.abort()
        for _, protocol in made:
            await protocol.lost()

    class KeepsOpen(Recorder):
        keep_open = True

    loop = loop_factory()
    loop.run_until_complete(main())
    loop.close()


async def test_a_connection_is_usable_from_within_connection_made():
    class Greets(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.write(b"hello")
            transport.close()

    for pair in (tcp_pair, unix_pair):
        async with connection(Greets, pair) as (_, protocol, peer):
            loop = asyncio.get_running_loop()
            assert await loop.sock_recv(peer, 100) == b"hello"
            await protocol.lost()


async def test_the_socket_asked_for_in_connection_lost_is_open_until_it_returns():
    class Asks(Recorder):
        def connection_lost(self, exc):
            sock = self.transport.get_extra_info("socket")
            found.append((sock.fileno() >= 0, sock.getsockname(), sock))
            super().connection_lost(exc)

    found = []
    loop = asyncio.get_running_loop()
    async with await loop.create_server(Asks, "127.0.0.1", 0) as server:
        transport, protocol = await loop.create_connection(Asks, *server.sockets[0].getsockname())
        name = transport.get_extra_info("sockname")
        transport.close()
        await protocol.lost()
        while len(found) < 2:
            await asyncio.sleep(0)
    assert [was_open for was_open, _, _ in found] == [True, True]
    assert found[0][1] == name
    await asyncio.sleep(0)
    assert [sock.fileno() for _, _, sock in found] == [-1, -1]
