"""A protocol that is lent what it receives, and checks of the memory that is lent."""

from __future__ import annotations

import ctypes
from typing import Any

from recording import Recording

import zcloop


class LeaseRecorder(Recording, zcloop.ZeroCopyProtocol):
    """`data` is a copy of everything that came. With `keeps` it keeps every view in `views`."""

    keep_open = False

    def __init__(self, keeps: bool = False, **limits: int) -> None:
        super().__init__()
        self.data = bytearray()
        self.views: list[memoryview] = []
        self.keeps = keeps
        self.limits = limits

    def connection_made(self, transport: Any) -> None:
        if self.limits:
            transport.set_lease_limits(**self.limits)
        super().connection_made(transport)

    def buffer_received(self, view: memoryview) -> None:
        assert type(view) is memoryview and not view.readonly and view.format == "B" and view.nbytes
        self.data += view
        if self.keeps:
            self.views.append(view)
        else:
            view.release()
        self.note("buffer_received", len(self.data))

    def eof_received(self) -> bool:
        self.note("eof_received")
        return self.keep_open

    async def received(self, size: int) -> bytes:
        """Wait until at least `size` bytes have come, or no more can come; return all of them."""
        await self.until(lambda: len(self.data) >= size or self.is_lost)
        return bytes(self.data)

    def release(self) -> None:
        while self.views:
            self.views.pop().release()


def address_of(view: memoryview) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(view))


def is_balanced(statistics: dict[str, int], prefix: str = "") -> bool:
    """Assert that the kernel's, lent, reserved and free bytes are all the bytes of the memory."""
    found = {name: statistics[prefix + name] for name in ("kernel", "lease", "reserve", "free")}
    return statistics[prefix + "size"] == sum(found.values())
