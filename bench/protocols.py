"""What the servers under test do with a connection, written against plain asyncio."""

from __future__ import annotations

import asyncio
import functools
import importlib
import os
import socket
import sys
import tempfile
from typing import Any

RECEIVE_SIZE = 256 * 1024
READ_SIZE = 64 * 1024
SOURCE_BLOCK = 65536  # client/client.h has the same number
SOURCE_WRITES_MAX = 16  # of one turn, so that other connections get theirs
HTTP_BODY = b"Hello, world!"
HTTP_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s" % (
    len(HTTP_BODY),
    HTTP_BODY,
)


class Echo(asyncio.Protocol):
    """Writes back what it gets."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class BufferedEcho(asyncio.BufferedProtocol):
    """Writes back, as a copy, what the loop put into its one buffer."""

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(RECEIVE_SIZE))

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def get_buffer(self, sizehint: int) -> Any:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        # A copy, because some loops keep a written view by reference and receive into it again.
        self.transport.write(bytes(self.buffer[:nbytes]))


class HttpHello(asyncio.Protocol):
    """Answers each request that httptools finds with the same small text."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.parser = importlib.import_module("httptools").HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        self.transport.write(HTTP_ANSWER)


class DatagramEcho(asyncio.DatagramProtocol):
    """Sends each datagram back to where it came from."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.transport.sendto(data, addr)


class Sink(asyncio.Protocol):
    """Counts what it gets, and sends the number at the end: eight bytes, little endian."""

    def __init__(self) -> None:
        self.received = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += len(data)

    def eof_received(self) -> None:
        self.transport.write(self.received.to_bytes(8, "little"))


class BufferedSink(asyncio.BufferedProtocol):
    """The same, of what the loop put into its one buffer."""

    def __init__(self) -> None:
        self.received = 0
        self.buffer = memoryview(bytearray(RECEIVE_SIZE))

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def get_buffer(self, sizehint: int) -> Any:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.received += nbytes

    def eof_received(self) -> None:
        self.transport.write(self.received.to_bytes(8, "little"))


class Source(asyncio.Protocol):
    """Writes the same block for as long as the transport takes more."""

    def __init__(self, block_size: int = SOURCE_BLOCK) -> None:
        self.block = source_block() * (block_size // SOURCE_BLOCK)
        self.is_paused = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.write_some()

    def write_some(self) -> None:
        for _ in range(SOURCE_WRITES_MAX):
            if self.is_paused or self.transport.is_closing():
                return
            self.transport.write(self.block)
        asyncio.get_running_loop().call_soon(self.write_some)

    def pause_writing(self) -> None:
        self.is_paused = True

    def resume_writing(self) -> None:
        self.is_paused = False
        asyncio.get_running_loop().call_soon(self.write_some)


class FileSource(asyncio.Protocol):
    """Sends the same file again and again by the loop's sendfile()."""

    def __init__(self, size: int) -> None:
        self.file = tempfile.TemporaryFile()  # noqa: SIM115 - for the life of the process
        self.file.write(source_block() * (size // SOURCE_BLOCK))
        self.file.flush()

    def connection_made(self, transport: Any) -> None:
        self.sending = asyncio.get_running_loop().create_task(self.send(transport))

    async def send(self, transport: Any) -> None:
        """Send until the client leaves. A loop without sendfile() ends the process.

        If the first attempt finds a broken pipe, asyncio believes that the file cannot be sent so,
        reads it itself from its position, and has sent nothing.
        """
        loop = asyncio.get_running_loop()
        try:
            while not transport.is_closing():
                if not await loop.sendfile(transport, self.file):
                    transport.abort()
        except OSError:
            transport.close()
        except (NotImplementedError, RuntimeError) as error:
            print(f"sendfile: {error!r}", file=sys.stderr)
            os._exit(1)


def source_block() -> bytes:
    """Make the block that a source repeats."""
    return pattern(SOURCE_BLOCK)


@functools.cache
def pattern(size: int) -> bytes:
    """Make the content of what is sent, as fill_pattern() in client/client.c does."""
    state = 1
    block = bytearray()
    while len(block) < size:
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        block.append(state >> 24)
    return bytes(block)


async def echo_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Echo over asyncio's streams, with back-pressure."""
    while data := await reader.read(READ_SIZE):
        writer.write(data)
        await writer.drain()
    writer.close()


async def echo_socket(connection: socket.socket) -> None:
    """Echo over the loop's sock_* methods."""
    loop = asyncio.get_running_loop()
    with connection:
        if connection.family == socket.AF_INET:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := await loop.sock_recv(connection, READ_SIZE):
            await loop.sock_sendall(connection, data)


async def accept_sockets(listener: socket.socket) -> None:
    """Start an echo_socket task for each connection, for ever."""
    loop = asyncio.get_running_loop()
    tasks = set()
    while True:
        connection, _ = await loop.sock_accept(listener)
        task = loop.create_task(echo_socket(connection))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
