"""What websockets sends has left when the call that sent it returns: the kernel has it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from encryption import Peer
from peers import RECEIVE_SECONDS, gone, payload, tcp_pair

pytest.importorskip("websockets", reason="pip install -r tests/integration/requirements.txt")

from websockets.asyncio.client import connect
from websockets.asyncio.server import broadcast, serve
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

SMALL, LARGE = b"x" * 10, payload(10_000)


class RawPeer:
    """The other end of a websocket: frames of a socket, by websockets' own parser."""

    def __init__(self, sock: socket.socket, protocol: Any, tls: Peer | None = None) -> None:
        self.sock, self.protocol, self.tls = sock, protocol, tls

    def feed(self, data: bytes) -> None:
        if self.tls is None:
            self.protocol.receive_data(data)
            return
        self.tls.incoming.write(data)
        with contextlib.suppress(ssl.SSLWantReadError):
            while plain := self.tls.tls.read(1 << 16):
                self.protocol.receive_data(plain)

    async def send(self) -> None:
        """What the protocol has to say."""
        data = b"".join(self.protocol.data_to_send())
        if self.tls is not None and data:
            data = self.tls.encrypted(data)
        await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def event(self) -> Any:
        if self.tls is not None:
            self.feed(b"")  # what came with the end of the handshake
        while not (events := self.protocol.events_received()):
            self.feed(await asyncio.get_running_loop().sock_recv(self.sock, 1 << 16))
        return events[0]

    def frame(self) -> Frame:
        """The next one, while the loop stands still."""
        self.sock.settimeout(RECEIVE_SECONDS)
        try:
            while not (events := self.protocol.events_received()):
                self.feed(self.sock.recv(1 << 16))
        finally:
            self.sock.setblocking(False)
        (frame,) = events
        assert isinstance(frame, Frame)
        return frame


@contextlib.asynccontextmanager
async def as_client(tls: Any) -> AsyncIterator[tuple[Any, RawPeer]]:
    """websockets' client on the loop, and the server as a socket."""
    with tcp_pair() as (ours, theirs):
        options = {"ssl": tls.client_context(), "server_hostname": "localhost"} if tls else {}
        connecting = asyncio.ensure_future(
            connect(
                f"{'wss' if tls else 'ws'}://localhost", sock=ours, compression=None,
                ping_interval=None, close_timeout=1, **options,
            ).__aenter__()
        )  # fmt: skip
        peer = RawPeer(theirs, ServerProtocol())
        if tls:
            peer.tls = Peer(theirs, tls.client_context())
            peer.tls.tls = tls.server_context().wrap_bio(
                peer.tls.incoming, peer.tls.outgoing, server_side=True
            )
            await peer.tls.do(peer.tls.tls.do_handshake)
        peer.protocol.send_response(peer.protocol.accept(await peer.event()))
        await peer.send()
        ours_side = await connecting
        try:
            yield ours_side, peer
        finally:
            ours_side.transport.abort()
            await ours_side.wait_closed()
            await gone(ours_side.transport)


@contextlib.asynccontextmanager
async def as_server(tls: Any) -> AsyncIterator[tuple[Any, RawPeer]]:
    """websockets' server on the loop, and a client as a socket."""
    served = asyncio.get_running_loop().create_future()

    async def handle(connection: Any) -> None:
        served.set_result(connection)
        await connection.wait_closed()

    server = serve(
        handle, "127.0.0.1", 0, compression=None, ping_interval=None, close_timeout=1,
        ssl=tls.server_context() if tls else None,
    )  # fmt: skip
    async with server as server:
        address = server.sockets[0].getsockname()
        with socket.create_connection(address) as sock:
            sock.setblocking(False)
            peer = RawPeer(sock, ClientProtocol(parse_uri("ws://localhost")))
            if tls:
                peer.tls = Peer(sock, tls.client_context())
                await peer.tls.do(peer.tls.tls.do_handshake)
            peer.protocol.send_request(peer.protocol.connect())
            await peer.send()
            await peer.event()
            connection = await served
            try:
                yield connection, peer
            finally:
                connection.transport.abort()
                await connection.wait_closed()


@pytest.fixture(params=["ws", "wss"])
def tls(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue("certificates") if request.param == "wss" else None


SIDES = {"client": as_client, "server": as_server}
in_both_roles = pytest.mark.parametrize("side", SIDES.values(), ids=SIDES)


@in_both_roles
async def test_a_message_is_on_the_wire_when_send_returns(side: Callable, tls: Any) -> None:
    async with side(tls) as (connection, peer):
        for message in (SMALL, LARGE, SMALL):
            await connection.send(message)
            assert peer.frame() == Frame(Opcode.BINARY, message)
        await connection.send("text")
        assert peer.frame() == Frame(Opcode.TEXT, b"text")


@in_both_roles
async def test_a_ping_is_on_the_wire_when_ping_returns(side: Callable, tls: Any) -> None:
    async with side(tls) as (connection, peer):
        for payload_ in (b"one", b"two"):
            await connection.ping(payload_)
            assert peer.frame() == Frame(Opcode.PING, payload_)
        await connection.pong(b"unasked")
        assert peer.frame() == Frame(Opcode.PONG, b"unasked")


@in_both_roles
async def test_a_broadcast_is_on_the_wire_when_it_returns(side: Callable, tls: Any) -> None:
    async with side(tls) as (first, peer), side(tls) as (second, another):
        for message in (SMALL, LARGE):
            broadcast([first, second], message)
            assert another.frame() == Frame(Opcode.BINARY, message)
            assert peer.frame() == Frame(Opcode.BINARY, message)


@in_both_roles
async def test_a_close_frame_is_on_the_wire_when_close_waits_for_the_answer(
    side: Callable, tls: Any
) -> None:
    async with side(tls) as (connection, peer):
        frames: list[Frame] = []
        closing = asyncio.ensure_future(connection.close(1000, "enough"))
        # Runs behind the first step of close(), in the same turn.
        asyncio.get_running_loop().call_soon(lambda: frames.append(peer.frame()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert frames == [Frame(Opcode.CLOSE, b"\x03\xe8enough")]
        peer.sock.shutdown(socket.SHUT_RDWR)
        await closing


@in_both_roles
async def test_fragments_are_on_the_wire_while_the_next_is_awaited(
    side: Callable, tls: Any
) -> None:
    async with side(tls) as (connection, peer):

        async def fragments() -> AsyncIterator[bytes]:
            yield b"one"
            assert peer.frame() == Frame(Opcode.BINARY, b"one", fin=False)
            yield b"two"
            assert peer.frame() == Frame(Opcode.CONT, b"two", fin=False)

        await connection.send(fragments())
        assert peer.frame() == Frame(Opcode.CONT, b"")
