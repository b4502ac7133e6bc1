"""A barrier at which tasks, threads and processes wait for each other."""

from __future__ import annotations

import asyncio
import errno
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Self

from zcloop._native.sync import barrier_words
from zcloop._native.sync.await_barrier import AwaitBarrier
from zcloop._native.sync.barrier_words import BarrierWords
from zcloop.sync._waiting import check, perform

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Barrier(BarrierWords):
    """`wait` returns when `parties` have come: asyncio.Barrier, between processes too.

    It is in private memory, or with `buffer` in SIZE bytes of that from `offset` on, a multiple of
    8. One process makes it there, once; the others `attach`. The buffer cannot be closed before
    `close` or the end of this object. Thread-safe, and usable from several loops and processes.

    Who is cancelled, or times out, leaves: the others then wait for one more. `abort` and `reset`
    do not wait, and are no coroutines. A process that dies after it has arrived counts as arrived.
    One that dies before never comes: use a timeout, and `abort`. A wait that sleeps through 16
    further rounds is not told that its own was broken.

    ValueError for a number of parties that is not from 1 to 32767, a bad offset, or a place that is
    in use; BufferError for memory that is not writable.
    """

    SIZE: ClassVar[int] = barrier_words.SIZE

    def __init__(self, parties: int, *, buffer: Buffer | None = None, offset: int = 0) -> None:
        self._create(parties, buffer, offset)

    @classmethod
    def attach(cls, buffer: Buffer, offset: int = 0) -> Self:
        """The barrier that another process, or another object, made in this buffer at this offset.

        ValueError if there is none. BufferError for memory that is not writable.
        """
        barrier = cls.__new__(cls)
        barrier._attach(buffer, offset)
        return barrier

    def __repr__(self) -> str:
        if self.closed:
            return f"<{type(self).__name__} closed>"
        state = "broken" if self.broken else f"{self.n_waiting} of {self.parties}"
        return f"<{type(self).__name__} {state}>"

    async def wait(self) -> int:
        """Wait for the others: one's place among them, from 0 to parties - 1.

        asyncio.BrokenBarrierError when the barrier is broken, or is broken or reset meanwhile.
        RuntimeError on a loop that is not zcloop's, ValueError once closed.
        """
        return self._place(await perform(self._operation()))

    def wait_blocking(self, timeout: float | None = None) -> int:
        """`wait` in a thread that has no loop. TimeoutError after `timeout` seconds: it has left.

        It lets go of the GIL while it sleeps, and runs signal handlers. Thread-safe.
        """
        result = self._operation().block(timeout)
        if result == -errno.ETIMEDOUT:
            raise TimeoutError(f"the others did not come to {self!r}")
        return self._place(result)

    def abort(self) -> None:
        """Break it: all who wait, and all who come before a `reset`, get BrokenBarrierError.

        Thread-safe.
        """
        self._end_round(is_broken=True)

    def reset(self) -> None:
        """Make it as new; all who wait get BrokenBarrierError. Thread-safe."""
        self._end_round(is_broken=False)

    async def __aenter__(self) -> int:
        return await self.wait()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def _operation(self) -> AwaitBarrier:
        return AwaitBarrier(self)

    def _place(self, result: int) -> int:
        if result == -errno.EPIPE:
            raise asyncio.BrokenBarrierError(f"{self!r} was broken or reset")
        check(result, self)
        return result
