"""The contexts that asyncio gives with a connection or a server, as Python 3.15 does.

The methods are asyncio's private ones, so these tests do the same with every version.
"""

import asyncio
import contextvars
import sys

import pytest
from peers import tcp_pair, unix_pair
from recording import Recorder

var = contextvars.ContextVar("var", default="default")

IS_GIVEN = sys.version_info >= (3, 15)


class InContext(Recorder):
    """Notes what the variable is in each callback. `connection_made` sets it."""

    def note(self, name, *rest):
        super().note(name, *rest, var.get())
        if name == "connection_made":
            var.set("set by connection_made")

    @property
    def seen(self):
        return [(call[0], call[-1]) for call in self.calls]


SEEN_IN_ONE_CONTEXT = [
    ("connection_made", "given"),
    ("data_received", "set by connection_made"),
    ("eof_received", "set by connection_made"),
    ("connection_lost", "set by connection_made"),
]


def given():
    context = contextvars.copy_context()
    context.run(var.set, "given")
    return context


async def test_all_callbacks_of_a_connection_run_in_the_context_that_is_given():
    loop = asyncio.get_running_loop()
    context = given()
    with tcp_pair() as (ours, peer):
        protocol = InContext()
        waiter = loop.create_future()
        loop._make_socket_transport(ours, protocol, waiter, context=context)
        await waiter
        peer.send(b"x")
        await protocol.received(1)
        peer.close()
        await protocol.lost()
    assert protocol.seen == SEEN_IN_ONE_CONTEXT
    assert context[var] == "set by connection_made"
    assert var.get() == "default"


@pytest.mark.parametrize("family", ["tcp", "unix"])
async def test_each_connection_of_a_server_has_a_copy_of_the_context_that_is_given(
    family, tmp_path
):
    loop = asyncio.get_running_loop()
    context = given()
    protocols, factories = [], []

    def factory():
        factories.append(var.get())
        protocols.append(InContext())
        return protocols[-1]

    if family == "tcp":
        server = await loop.create_server(factory, "127.0.0.1", 0, start_serving=False)
        connect = asyncio.open_connection
        address = server.sockets[0].getsockname()
    else:
        address = (str(tmp_path / "socket"),)
        server = await loop.create_unix_server(factory, *address, start_serving=False)
        connect = asyncio.open_unix_connection
    async with server:
        sock = server._sockets[0]
        sock.listen()
        loop._start_serving(factory, sock, None, None, 100, 60, 30, context=context)
        for number in range(2):
            _, writer = await connect(*address)
            writer.write(b"x")
            writer.close()
            await writer.wait_closed()
            while len(protocols) <= number:
                await asyncio.sleep(0)
            await protocols[number].lost()
    assert factories == ["given", "given"]
    assert [protocol.seen for protocol in protocols] == [SEEN_IN_ONE_CONTEXT] * 2
    assert context[var] == "given"


async def test_the_callbacks_above_tls_run_in_the_context_that_is_given(certificates):
    loop = asyncio.get_running_loop()
    context = given()
    with tcp_pair() as (ours, peer):
        server = InContext()
        waiter = loop.create_future()
        transport = loop._make_ssl_transport(
            ours, server, certificates.server_context(), waiter, server_side=True, context=context
        )
        client, _ = await loop.create_connection(
            Recorder, sock=peer, ssl=certificates.client_context(), server_hostname="localhost"
        )
        await waiter
        client.write(b"x")
        await server.received(1)
        transport.abort()
        await server.lost()
        client.abort()
        await client.get_protocol().lost()
    assert [one for one in server.seen if one[0] != "eof_received"] == [
        one for one in SEEN_IN_ONE_CONTEXT if one[0] != "eof_received"
    ]
    assert context[var] == "set by connection_made"


@pytest.mark.parametrize("add", ["_add_reader", "_add_writer"])
async def test_a_reader_or_writer_runs_in_the_context_that_is_given(add):
    loop = asyncio.get_running_loop()
    context = given()
    seen = loop.create_future()
    with unix_pair() as (one, other):
        other.send(b"x")
        getattr(loop, add)(
            one.fileno(), lambda: seen.done() or seen.set_result(var.get()), context=context
        )
        assert await seen == "given"
        loop._remove_reader(one.fileno())
        loop._remove_writer(one.fileno())


async def test_a_server_has_the_context_of_whom_python_says():
    """Of who made it; before Python 3.15 of who started it."""
    loop = asyncio.get_running_loop()
    protocols = []

    def factory():
        protocols.append(InContext())
        return protocols[-1]

    var.set("created")
    server = await loop.create_server(factory, "127.0.0.1", 0, start_serving=False)
    var.set("started")
    async with server:
        await server.start_serving()
        var.set("later")
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.close()
        await writer.wait_closed()
        while not protocols:
            await asyncio.sleep(0)
        await protocols[0].lost()
    assert protocols[0].seen[0] == ("connection_made", "created" if IS_GIVEN else "started")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_what_a_factory_sets_is_its_protocols_until_python_3_15(host):
    """From 3.15 on the context is copied before the factory is called. An address takes another
    way here than a name, and must not differ."""
    loop = asyncio.get_running_loop()

    def factory():
        var.set("set by the factory")
        return InContext()

    server = await loop.create_server(Recorder, "127.0.0.1", 0)
    async with server:
        address = host, server.sockets[0].getsockname()[1]
        transport, protocol = await loop.create_connection(factory, *address)
        transport.close()
        await protocol.lost()
    assert protocol.seen[0] == (
        "connection_made", "default" if IS_GIVEN else "set by the factory",
    )  # fmt: skip


async def test_a_stream_that_is_served_answers_in_the_context_of_its_server():
    async def answer(reader, writer):
        writer.write(var.get().encode())
        writer.close()

    var.set("serve")
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    var.set("later")
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        assert await reader.read() == b"serve"
        writer.close()
        await writer.wait_closed()
