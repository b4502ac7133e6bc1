"""Protocols that remember what the loop called, and let a test wait for it without sleeping."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


class Recording:
    """`calls` holds (name, arguments) of each callback, in order."""

    transport: Any = None

    def __init__(self) -> None:
        self.calls: list[tuple] = []
        self._waiters: list[tuple[Callable[[], Any], asyncio.Future]] = []

    def note(self, *call: Any) -> None:
        self.calls.append(call)
        self.check()

    def check(self) -> None:
        for condition, waiter in self._waiters:
            if not waiter.done() and condition():
                waiter.set_result(None)

    async def until(self, condition: Callable[[], Any]) -> None:
        """Return once the condition holds. Each call of the protocol makes it look again."""
        if not condition():
            entry = condition, asyncio.get_running_loop().create_future()
            self._waiters.append(entry)
            try:
                await entry[1]
            finally:
                self._waiters.remove(entry)

    @property
    def names(self) -> list[str]:
        return [call[0] for call in self.calls]

    @property
    def is_lost(self) -> bool:
        return "connection_lost" in self.names

    async def lost(self) -> BaseException | None:
        """Wait for connection_lost, and return what it was given."""
        await self.until(lambda: self.is_lost)
        return next(call[1] for call in self.calls if call[0] == "connection_lost")

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.note("connection_made")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.note("connection_lost", exc)

    def pause_writing(self) -> None:
        self.note("pause_writing")

    def resume_writing(self) -> None:
        self.note("resume_writing")


class Recorder(Recording, asyncio.Protocol):
    """`data` is everything that was received. `keep_open` is what eof_received returns."""

    keep_open = False

    def __init__(self) -> None:
        super().__init__()
        self.data = bytearray()

    def data_received(self, data: bytes) -> None:
        assert type(data) is bytes
        self.data += data
        self.note("data_received", data)

    def eof_received(self) -> bool:
        self.note("eof_received")
        return self.keep_open

    async def received(self, size: int) -> bytes:
        """Wait until at least `size` bytes have come, or no more can come; return all of them."""
        await self.until(lambda: len(self.data) >= size or self.is_lost)
        return bytes(self.data)


class BufferedRecorder(Recording, asyncio.BufferedProtocol):
    """A recorder that offers one buffer of `size` bytes again and again."""

    size = 65536

    def __init__(self, size: int = 65536) -> None:
        super().__init__()
        self.buffer = bytearray(size)
        self.data = bytearray()

    def get_buffer(self, sizehint: int) -> Any:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data += memoryview(self.buffer)[:nbytes]
        self.note("buffer_updated", nbytes)

    def eof_received(self) -> bool:
        self.note("eof_received")
        return False

    received = Recorder.received


class Echo(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class DatagramRecorder(Recording, asyncio.DatagramProtocol):
    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.note("datagram_received", data, addr)

    def error_received(self, exc: BaseException) -> None:
        self.note("error_received", exc)

    @property
    def datagrams(self) -> list[bytes]:
        return [call[1] for call in self.calls if call[0] == "datagram_received"]

    @property
    def errors(self) -> list[BaseException]:
        return [call[1] for call in self.calls if call[0] == "error_received"]

    async def received(self, count: int) -> list[bytes]:
        """Wait until at least `count` datagrams have come; return all of them."""
        await self.until(lambda: len(self.datagrams) >= count)
        return self.datagrams
