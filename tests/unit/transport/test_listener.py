"""Servers: every connection served, none kept after the close."""

import asyncio
import contextlib
import errno
import gc
import socket
import warnings

import pytest
from peers import io_passed, payload, receive_all
from recording import Echo, Recorder


@contextlib.asynccontextmanager
async def serving(factory, **options):
    """server, its address, and the list of protocols made; every connection is gone at the end."""
    made = []

    def remembered():
        made.append(factory())
        return made[-1]

    loop = asyncio.get_running_loop()
    server = await loop.create_server(remembered, "127.0.0.1", 0, **options)
    try:
        yield server, server.sockets[0].getsockname(), made
    finally:
        server.close()
        for protocol in made:
            if protocol.transport is not None:
                protocol.transport.abort()
                await protocol.lost()


class RecordingEcho(Recorder):
    def data_received(self, data):
        super().data_received(data)
        self.transport.write(data)


async def test_a_thousand_connections_are_echoed_at_once():
    async def exchange(number):
        data = payload(10 + number % 5000, number)
        reader, writer = await asyncio.open_connection(*address)
        writer.write(data)
        assert await reader.readexactly(len(data)) == data
        await everybody.wait()
        writer.write(data)
        writer.write_eof()
        assert await reader.read() == data
        writer.close()
        await writer.wait_closed()

    everybody = asyncio.Barrier(1000)
    async with serving(RecordingEcho, backlog=1000) as (_, address, made):
        await asyncio.gather(*map(exchange, range(1000)))
        assert len(made) == 1000


async def test_accepted_connections_are_tcp_without_delay_and_close_on_exec():
    async with serving(Recorder) as (_, address, made):
        _, writer = await asyncio.open_connection(*address)
        while not made:
            await asyncio.sleep(0)
        sock = made[0].transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        assert not sock.get_inheritable() and sock.gettimeout() == 0
        writer.close()
        await writer.wait_closed()


async def test_after_close_the_port_is_free_and_connections_are_refused():
    loop = asyncio.get_running_loop()
    async with serving(RecordingEcho) as (server, address, _):
        await io_passed()
        server.close()
        with pytest.raises(ConnectionRefusedError):
            await loop.create_connection(Recorder, *address)
        again = await loop.create_server(Recorder, *address)
        again.close()
        await again.wait_closed()
        assert not server.is_serving()
        assert list(server.sockets) == []


async def test_closing_the_listener_keeps_the_connections_it_made():
    async with serving(RecordingEcho) as (server, address, _):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"one")
        assert await reader.readexactly(3) == b"one"
        server.close()
        writer.write(b"two")
        assert await reader.readexactly(3) == b"two"
        writer.close()
        await writer.wait_closed()


async def test_a_server_that_does_not_start_serving_refuses_nothing_until_it_does():
    async with serving(RecordingEcho, start_serving=False) as (server, address, _made):
        assert not server.is_serving()
        await server.start_serving()
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        writer.close()
        await writer.wait_closed()


async def test_serve_forever_ends_by_cancelling_it():
    async with serving(RecordingEcho) as (server, _, _):
        task = asyncio.ensure_future(server.serve_forever())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not server.is_serving()


@pytest.mark.parametrize("debug", [False, True])
async def test_a_factory_that_fails_loses_its_connection_only(reported, debug):
    """As in asyncio, debug mode reports it."""
    asyncio.get_running_loop().set_debug(debug)
    calls = []

    def factory():
        calls.append(None)
        if len(calls) == 1:
            raise LookupError("no protocol")
        return RecordingEcho()

    async with serving(factory) as (_, address, _made):
        reader, writer = await asyncio.open_connection(*address)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        writer.close()
        await writer.wait_closed()
    if debug:
        (context,) = reported
        assert isinstance(context["exception"], LookupError)
        reported.clear()


async def test_a_server_of_several_sockets_serves_them_all():
    loop = asyncio.get_running_loop()
    async with await loop.create_server(Echo, ["127.0.0.1", "::1"], 0) as server:
        assert len(server.sockets) == 2
        for sock in server.sockets:
            reader, writer = await asyncio.open_connection(*sock.getsockname()[:2])
            writer.write(b"x")
            writer.write_eof()
            assert await reader.readexactly(1) == b"x"
            writer.close()
            await writer.wait_closed()


async def test_an_accepted_socket_becomes_a_transport():
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        peer = socket.create_connection(listener.getsockname())
        accepted, _ = await loop.sock_accept(listener)
        transport, protocol = await loop.connect_accepted_socket(RecordingEcho, accepted)
        peer.send(b"x")
        peer.shutdown(socket.SHUT_WR)
        peer.setblocking(False)
        assert await receive_all(peer) == b"x"
        await protocol.lost()
        peer.close()
        assert transport.is_closing()


async def test_a_unix_server_serves_paths_and_abstract_names(tmp_path):
    loop = asyncio.get_running_loop()
    for path in (str(tmp_path / "socket"), "\0zcloop-" + tmp_path.name):
        async with await loop.create_unix_server(Echo, path):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b"x")
            assert await reader.readexactly(1) == b"x"
            writer.close()
            await writer.wait_closed()


def test_closing_the_loop_frees_a_listener_that_was_never_closed(loop_factory):
    loop = loop_factory()
    server = loop.run_until_complete(loop.create_server(Echo, "127.0.0.1", 0))
    loop.run_until_complete(asyncio.sleep(0.001))
    address = server.sockets[0].getsockname()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        loop.close()
        del server, loop
        gc.collect()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)


async def test_a_socket_that_the_program_closes_is_free_at_once(reported):
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.setblocking(False)
        address = sock.getsockname()
        server = await loop.create_server(RecordingEcho, sock=sock)
        await io_passed()
    await io_passed()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    socket.create_server(address, reuse_port=False).close()
    server.close()
    await server.wait_closed()
    (context,) = reported
    assert context["exception"].errno == errno.EBADF
    reported.clear()


def test_closing_the_loop_ends_the_listening_of_a_server_that_was_dropped(loop_factory):
    loop = loop_factory()
    server = loop.run_until_complete(loop.create_server(Echo, "127.0.0.1", 0))
    loop.run_until_complete(asyncio.sleep(0.001))
    address = server.sockets[0].getsockname()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        loop.close()
        del server
        gc.collect()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    assert loop.is_closed()


def test_a_server_may_be_closed_after_its_loop(loop_factory):
    loop = loop_factory()
    server = loop.run_until_complete(loop.create_server(Echo, "127.0.0.1", 0))
    loop.run_until_complete(asyncio.sleep(0.001))
    address = server.sockets[0].getsockname()
    loop.close()
    server.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)


async def test_a_socket_of_another_protocol_than_tcp_is_served():
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("")
        # Stands for SCTP, which has no TCP_NODELAY either: the option is refused.
        sock = socket.socket(
            socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP, fileno=listening.detach()
        )
    server = await loop.create_server(Recorder, sock=sock)
    server.close()
    await server.wait_closed()
