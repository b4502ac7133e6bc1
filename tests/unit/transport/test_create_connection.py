"""create_connection to an address: what it promises beside a transport."""

import asyncio
import contextlib
import contextvars
import os
import re
import socket

import pytest
from recording import Echo, Recorder

number = contextvars.ContextVar("number", default=0)


@pytest.fixture(params=["127.0.0.1", "::1", "localhost"])
def host(request):
    return request.param


async def server_on(host):
    server = await asyncio.get_running_loop().create_server(Echo, host, 0)
    return server, server.sockets[0].getsockname()[1]


async def test_connection_made_comes_before_the_answer(host):
    server, port = await server_on(host)
    async with server:
        transport, protocol = await asyncio.get_running_loop().create_connection(
            Recorder, host, port
        )
        assert protocol.names == ["connection_made"]
        assert protocol.transport is transport
        assert transport.get_protocol() is protocol
        sock = transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert transport.get_extra_info("peername")[1] == port
        transport.write(b"hello")
        assert await protocol.received(5) == b"hello"
        transport.close()
        await protocol.lost()


async def test_a_port_may_be_digits():
    server, port = await server_on("127.0.0.1")
    async with server:
        transport, protocol = await asyncio.get_running_loop().create_connection(
            Recorder, "127.0.0.1", str(port)
        )
        transport.close()
        await protocol.lost()


async def test_a_refusal_names_the_address():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(ConnectionRefusedError, match=f"'127.0.0.1', {port}"):
            await asyncio.get_running_loop().create_connection(Recorder, "127.0.0.1", port)


async def test_what_connection_made_sets_stays_its_own():
    class Setting(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            self.note("saw", number.get())
            number.set(2)

        def data_received(self, data):
            self.note("then", number.get())
            super().data_received(data)

    server, port = await server_on("127.0.0.1")
    number.set(1)
    async with server:
        transport, protocol = await asyncio.get_running_loop().create_connection(
            Setting, "127.0.0.1", port
        )
        assert number.get() == 1
        assert ("saw", 1) in protocol.calls
        transport.close()
        await protocol.lost()


@pytest.mark.zcloop_only  # asyncio leaves the socket to the garbage collector
async def test_a_factory_that_fails_leaves_no_connection():
    server, port = await server_on("127.0.0.1")

    def fail():
        raise ZeroDivisionError

    async with server:
        with pytest.raises(ZeroDivisionError):
            await asyncio.get_running_loop().create_connection(fail, "127.0.0.1", port)


@pytest.mark.zcloop_only  # as above
@pytest.mark.parametrize("turns", range(6))
async def test_cancelling_at_any_moment_leaves_nothing(turns):
    server, port = await server_on("127.0.0.1")
    loop = asyncio.get_running_loop()
    made = []

    def factory():
        made.append(Recorder())
        return made[-1]

    async with server:
        task = loop.create_task(loop.create_connection(factory, "127.0.0.1", port))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        try:
            transport, _ = await task
        except asyncio.CancelledError:
            pass
        else:
            transport.close()
        for protocol in made:
            if protocol.calls:
                await protocol.lost()


async def test_connection_made_is_no_part_of_the_connecting_task():
    class Looking(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            self.task = asyncio.current_task()

    server, port = await server_on("127.0.0.1")
    async with server:
        transport, protocol = await asyncio.get_running_loop().create_connection(
            Looking, "127.0.0.1", port
        )
        assert protocol.task is None
        transport.close()
        await protocol.lost()


async def test_the_socket_is_a_tcp_one_that_does_not_block(host):
    server, port = await server_on(host)
    async with server:
        transport, protocol = await asyncio.get_running_loop().create_connection(
            Recorder, host, port
        )
        sock = transport.get_extra_info("socket")
        assert (sock.type, sock.proto) == (socket.SOCK_STREAM, socket.IPPROTO_TCP)
        families = {"::1": [socket.AF_INET6], "127.0.0.1": [socket.AF_INET]}
        assert sock.family in families.get(host, [socket.AF_INET, socket.AF_INET6])
        assert not os.get_inheritable(sock.fileno())
        assert not os.get_blocking(sock.fileno())
        assert sock.gettimeout() == 0
        assert transport.get_extra_info("sockname")[:2] == sock.getsockname()[:2]
        transport.close()
        await protocol.lost()


async def test_a_failure_at_once_is_the_system_calls_own():
    with socket.socket() as one:
        number_of_it = one.connect_ex(("255.255.255.255", 1))
    with pytest.raises(OSError) as caught:
        await asyncio.get_running_loop().create_connection(Recorder, "255.255.255.255", 1)
    assert caught.value.errno == number_of_it


@contextlib.contextmanager
def full_listener():
    """Its queue is full: the kernel drops what asks to be connected until something is accepted,
    and it is asked again a second later."""
    with socket.socket() as listener, socket.socket() as first:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        first.connect(listener.getsockname())
        yield listener


async def test_a_connection_that_takes_its_time_is_made():
    with full_listener() as listener:
        loop = asyncio.get_running_loop()
        made = loop.create_task(loop.create_connection(Recorder, *listener.getsockname()))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not made.done()
        listener.accept()[0].close()
        transport, protocol = await made
        assert protocol.names == ["connection_made"]
        assert transport.get_extra_info("peername") == listener.getsockname()
        transport.close()
        await protocol.lost()


async def test_the_protocol_is_not_made_before_there_is_a_connection():
    made = []
    with full_listener() as listener:
        loop = asyncio.get_running_loop()
        task = loop.create_task(loop.create_connection(made.append, *listener.getsockname()))
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert made == []


async def test_a_peer_that_refuses_after_a_while_is_named():
    with full_listener() as listener:
        address = listener.getsockname()
        loop = asyncio.get_running_loop()
        task = loop.create_task(loop.create_connection(Recorder, *address))
        for _ in range(5):
            await asyncio.sleep(0)
    with pytest.raises(ConnectionRefusedError, match=re.escape(str(address))):
        await task


class Forbidden(Exception):
    pass


async def test_what_a_program_puts_in_the_place_of_sockets_is_used(monkeypatch):
    def forbid(*args, **kwargs):
        raise Forbidden

    server, port = await server_on("127.0.0.1")
    loop = asyncio.get_running_loop()
    async with server:
        with monkeypatch.context() as patch:
            patch.setattr(socket.socket, "connect", forbid)
            with pytest.raises(Forbidden):
                await loop.create_connection(Recorder, "127.0.0.1", port)
        with monkeypatch.context() as patch:
            patch.setattr(socket, "socket", forbid)
            with pytest.raises(Forbidden):
                await loop.create_connection(Recorder, "127.0.0.1", port)


@pytest.mark.parametrize("port", [65536, -1])
async def test_a_port_that_is_none_is_refused(port):
    with pytest.raises((OSError, OverflowError)):
        await asyncio.get_running_loop().create_connection(Recorder, "127.0.0.1", port)
