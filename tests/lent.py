"""A protocol that takes leases, for tests."""

from __future__ import annotations

from recording import Recording

import zcloop


class Lent(Recording, zcloop.ZeroCopyProtocol):
    """Keeps its views if `keeps`, else reads and releases them; `data` is all that came."""

    def __init__(self, keeps: bool = False) -> None:
        super().__init__()
        self.keeps = keeps
        self.views: list[memoryview] = []
        self.data = bytearray()

    def buffer_received(self, view: memoryview) -> None:
        assert type(view) is memoryview and not view.readonly and view.nbytes
        self.data += view
        if self.keeps:
            self.views.append(view)
        else:
            view.release()
        self.note("buffer_received")

    def eof_received(self) -> None:
        self.note("eof_received")

    async def received(self, size: int) -> bytes:
        """All that was received, once it is at least `size` bytes, or no more can come."""
        await self.until(lambda: len(self.data) >= size or self.is_lost)
        return bytes(self.data)

    def release(self) -> None:
        while self.views:
            self.views.pop().release()
