"""The proxy under test: a TCP forwarder with back-pressure, written against plain asyncio."""

from __future__ import annotations

import asyncio
from typing import Any

from bench.protocols import RECEIVE_SIZE


class Connecting:
    """Stands in for the other transport until there is one: uvloop delivers what came before a
    pause was asked for."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def write(self, data: Any) -> None:
        """Keep a copy until the other transport is there."""
        self.pieces.append(bytes(data))

    def close(self) -> None:
        """Do nothing: the client has left already."""


class Forwarding(asyncio.BaseProtocol):
    """One of two connections. What comes by one is written to the other, and each is read from no
    faster than the other takes it. The client's connection makes the other one."""

    def __init__(self, backend: tuple[str, int], other: Forwarding | None = None) -> None:
        self.backend = backend
        self.other: Any = other.transport if other else Connecting()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        if isinstance(self.other, Connecting):
            self.connecting = asyncio.get_running_loop().create_task(self.connect())

    async def connect(self) -> None:
        """Open the other side, and forward from then on."""
        self.transport.pause_reading()
        early = self.other.pieces
        self.other, _ = await asyncio.get_running_loop().create_connection(
            lambda: type(self)(self.backend, self), *self.backend
        )
        self.other.writelines(early)
        self.transport.resume_reading()

    def pause_writing(self) -> None:
        self.other.pause_reading()

    def resume_writing(self) -> None:
        self.other.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.other.close()


class Side(Forwarding, asyncio.Protocol):
    """Forwards bytes."""

    def data_received(self, data: bytes) -> None:
        self.other.write(data)


class BufferedSide(Forwarding, asyncio.BufferedProtocol):
    """Forwards copies of what the loop puts into its one buffer."""

    def __init__(self, backend: tuple[str, int], other: Forwarding | None = None) -> None:
        super().__init__(backend, other)
        self.buffer = memoryview(bytearray(RECEIVE_SIZE))

    def get_buffer(self, sizehint: int) -> Any:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        # A copy, because some loops keep a written view by reference and receive into it again.
        self.other.write(bytes(self.buffer[:nbytes]))
