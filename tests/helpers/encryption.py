"""TLS connections over loopback: a server's protocol and its client, or OpenSSL on a socket."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

from integration.certificates import Certificates
from recording import Recorder


class Peer:
    """A TLS client made of OpenSSL and a plain socket. The test decides what is sent together."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self.sock = sock
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")

    async def send(self, ciphertext: bytes | bytearray) -> None:
        await asyncio.get_running_loop().sock_sendall(self.sock, ciphertext)

    async def fetch(self) -> None:
        data = await asyncio.get_running_loop().sock_recv(self.sock, 1 << 16)
        if data:
            self.incoming.write(data)
        else:
            self.incoming.write_eof()

    async def do(self, method: Callable[..., Any], *arguments: Any) -> Any:
        while True:
            try:
                result = method(*arguments)
            except ssl.SSLWantReadError:
                await self.send(self.outgoing.read())
                await self.fetch()
            else:
                await self.send(self.outgoing.read())
                return result

    def encrypted(self, *messages: bytes) -> bytes:
        """Encrypt these records and return the bytes; nothing is sent."""
        for message in messages:
            self.tls.write(message)
        return self.outgoing.read()

    def hello(self) -> bytes:
        """Return the ClientHello; nothing is sent."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self.outgoing.read()

    async def received(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += await self.do(self.tls.read, size - len(data))
        return data


@contextlib.asynccontextmanager
async def encrypted(
    certificates: Certificates, factory: Callable[[], Any] = Recorder
) -> AsyncIterator[tuple[Any, Recorder]]:
    """Connect a server's protocol with a Recorder that is its TLS client."""
    loop = asyncio.get_running_loop()
    made: list[Any] = []
    server = await loop.create_server(
        lambda: made.append(factory()) or made[-1],
        "127.0.0.1",
        0,
        ssl=certificates.server_context(),
    )
    async with server:
        transport, peer = await loop.create_connection(
            Recorder,
            *server.sockets[0].getsockname(),
            ssl=certificates.client_context(),
            server_hostname="localhost",
        )
        (protocol,) = made
        await protocol.until(lambda: protocol.transport is not None)
        try:
            yield protocol, peer
        finally:
            transport.abort()
            protocol.transport.abort()
            await peer.lost()
            await protocol.lost()
