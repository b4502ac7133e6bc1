"""A barrier at which tasks, threads and processes wait for each other."""

from __future__ import annotations

import asyncio
import errno
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Self

from zcloop._native.sync import barrier_words
from zcloop._native.sync.await_barrier import AwaitBarrier
from zcloop._native.sync.barrier_words import BarrierWords
from zcloop.sync._waiting import check, take

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Barrier(BarrierWords):
    """`wait` returns when `parties` have come; what asyncio.Barrier is, between processes too.

    In private memory, or with `buffer` in SIZE bytes of it from `offset` on, a multiple of 8: one
    process makes it there, once; others `attach`. The buffer cannot be closed until `close` or
    the end of this object. Thread-safe, and usable from several loops and processes.

    Who is cancelled, or times out, leaves: the others wait for one more. `abort` and `reset` wait
    for nothing, and are no coroutines. A process that dies having arrived has arrived; one that
    dies before never comes: use a timeout, and `abort`. A wait that sleeps through 16 further
    rounds is not told that its own was broken.
    """

    SIZE: ClassVar[int] = barrier_words.SIZE

    def __init__(self, parties: int, *, buffer: Buffer | None = None, offset: int = 0) -> None:
        self._create(parties, buffer, offset)

    @classmethod
    def attach(cls, buffer: Buffer, offset: int = 0) -> Self:
        """The barrier that another process, or object, made there; ValueError if none did."""
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
        """
        return self._place(await take(self._operation()))

    def wait_blocking(self, timeout: float | None = None) -> int:
        """The same in a thread with no loop; TimeoutError after `timeout` seconds, having left."""
        result = self._operation().block(timeout)
        if result == -errno.ETIMEDOUT:
            raise TimeoutError(f"the others did not come to {self!r}")
        return self._place(result)

    def abort(self) -> None:
        """Break it: who waits, and whoever comes, gets BrokenBarrierError until `reset`."""
        self._end_round(is_broken=True)

    def reset(self) -> None:
        """Make it as new; who waits gets BrokenBarrierError."""
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
