"""create_connection to an address: what it promises beside a transport."""

import asyncio
import contextvars
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
