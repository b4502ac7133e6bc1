"""A mutex that tasks, threads and processes share, and that tells when its holder has died."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, ClassVar, Self

from zcloop._native.sync import mutex_words
from zcloop._native.sync.acquire import Acquire
from zcloop._native.sync.futex_wait import NOT_YET
from zcloop._native.sync.mutex_words import MutexWords
from zcloop.sync._waiting import Acquirable, check

if TYPE_CHECKING:
    from typing_extensions import Buffer


class OwnerDiedError(RuntimeError):
    """The process that held a mutex or lock died holding it: what it protects may be half changed.

    `acquire`, `try_acquire` and `acquire_blocking` have acquired it when they raise this: repair
    what it protects, and release it. `async with`, and a reader, have not acquired it.
    """


class OwnedAcquirable(Acquirable):
    """A thing that a process acquires, and may die holding."""

    def _release_unrepaired(self) -> None:
        raise NotImplementedError

    def _check(self, result: int) -> None:
        if result == -errno.EOWNERDEAD:
            raise OwnerDiedError(f"the process that held {self!r} has died")
        check(result, self)

    def try_acquire(self) -> bool:
        """Acquire it if it is free, ahead of all who wait; whether it did. Thread-safe.

        OwnerDiedError as `acquire`; ValueError once closed.
        """
        result = self._operation().begin(is_polite=False)
        if result == NOT_YET:
            return False
        self._check(result)
        return True

    async def __aenter__(self) -> None:
        try:
            await self.acquire()
        except OwnerDiedError:
            self._release_unrepaired()
            raise


class Mutex(MutexWords, OwnedAcquirable):
    """One holder at a time; `acquire` waits, `release` wakes a waiter. Not recursive.

    It is in private memory, or with `buffer` in SIZE bytes of that from `offset` on, a multiple of
    8. One process makes it there, once; the others `attach`. The buffer cannot be closed before
    `close` or the end of this object. Thread-safe, and usable from several loops and processes.

    The holder is a process: any of its tasks and threads may release it, others get RuntimeError.
    In a buffer, a waiter looks at once and then each second whether the holder's process has died
    (/proc/<pid>/stat, by pid and start time). The next one to acquire it then gets OwnerDiedError,
    and has it. A death is noticed between processes that see their /proc, and whose pid and time
    namespaces are those of the process that made the mutex. Other processes may use the mutex, but
    their death is not noticed; nor is a task or thread that ends without a release.
    `async with` does not enter over a dead holder's data: it raises, and the mutex stays as it was.

    Fairness is as of Semaphore: waiters acquire it in their order, except that `try_acquire`, and
    whoever comes between a release and the waking of a waiter, may come first. Between processes
    no order is promised.

    ValueError for a bad offset or a place that is in use; BufferError for memory that is not
    writable.
    """

    SIZE: ClassVar[int] = mutex_words.SIZE

    def __init__(self, *, buffer: Buffer | None = None, offset: int = 0) -> None:
        self._create(buffer, offset)

    @classmethod
    def attach(cls, buffer: Buffer, offset: int = 0) -> Self:
        """The mutex that another process, or another object, made in this buffer at this offset.

        ValueError if there is none. BufferError for memory that is not writable.
        """
        mutex = cls.__new__(cls)
        mutex._attach(buffer, offset)
        return mutex

    def __repr__(self) -> str:
        if self.closed:
            return f"<{type(self).__name__} closed>"
        return f"<{type(self).__name__} holder={self.holder_pid} waiting={self.waiting}>"

    def locked(self) -> bool:
        """Whether a process holds it now, as `holder_pid` says; that may change at any time.

        ValueError once closed. Thread-safe.
        """
        return self.holder_pid is not None

    def release(self) -> None:
        """Release it, and wake a waiter. Thread-safe.

        RuntimeError when it is free, or held by another process; ValueError once closed.
        """
        self._release()

    def _operation(self) -> Acquire:
        return Acquire(self)

    def _release_unrepaired(self) -> None:
        self._release(is_left=True)
