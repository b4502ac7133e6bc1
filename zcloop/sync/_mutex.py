"""A mutex that tasks, threads and processes share, and that tells when its holder has died."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, ClassVar, Self

from zcloop._native.sync import mutex_words
from zcloop._native.sync.acquire_mutex import AcquireMutex
from zcloop._native.sync.futex_wait import NOT_YET
from zcloop._native.sync.mutex_words import MutexWords
from zcloop.sync._waiting import Acquirable, check

if TYPE_CHECKING:
    from typing_extensions import Buffer


class OwnerDiedError(RuntimeError):
    """The process that held it died holding it: what it protects may be half changed.

    Of `acquire`, `try_acquire` and `acquire_blocking`: it is acquired all the same, to be
    repaired and released. Of `async with`, and of a reader: it is not.
    """


class OwnedAcquirable(Acquirable):
    """What is acquired by a process, and may be left by it in its death."""

    def _give_back_left(self) -> None:
        raise NotImplementedError

    def _check(self, result: int) -> None:
        if result == -errno.EOWNERDEAD:
            raise OwnerDiedError(f"the process that held {self!r} has died")
        check(result, self)

    def try_acquire(self) -> bool:
        """Take it if it is free, ahead of all who wait; whether it did. Thread-safe."""
        result = self._operation().begin(is_polite=False)
        if result == NOT_YET:
            return False
        self._check(result)
        return True

    async def __aenter__(self) -> None:
        try:
            await self.acquire()
        except OwnerDiedError:
            self._give_back_left()
            raise


class Mutex(MutexWords, OwnedAcquirable):
    """One holder at a time; `acquire` waits, `release` wakes who waits. Not recursive.

    In private memory, or with `buffer` in SIZE bytes of it from `offset` on, a multiple of 8: one
    process makes it there, once; others `attach`. The buffer cannot be closed until `close` or
    the end of this object. Thread-safe, and usable from several loops and processes.

    The holder is a process: any of its tasks and threads may release, RuntimeError in others. In
    a buffer, who waits looks at once and then each second whether the holder's process has died
    (/proc/<pid>/stat, by pid and start time); the next to acquire it then gets OwnerDiedError, and
    has it. That can be told among processes that see their /proc, and whose pid and time
    namespaces are those of the process that made the mutex: others may use it, and are taken for
    living whatever becomes of them. A task or thread that ends without a release is not noticed.
    `async with` does not go on over a dead holder's data: it gives the mutex back as it
    found it, and raises.

    Fairness: as Semaphore's. In the order of waiting, but for `try_acquire` and who comes in the
    moment between a release and the waking of others; between processes no order is promised.
    """

    SIZE: ClassVar[int] = mutex_words.SIZE

    def __init__(self, *, buffer: Buffer | None = None, offset: int = 0) -> None:
        self._create(buffer, offset)

    @classmethod
    def attach(cls, buffer: Buffer, offset: int = 0) -> Self:
        """The mutex that another process, or object, made there; ValueError if none did."""
        mutex = cls.__new__(cls)
        mutex._attach(buffer, offset)
        return mutex

    def __repr__(self) -> str:
        if self.closed:
            return f"<{type(self).__name__} closed>"
        return f"<{type(self).__name__} holder={self.holder_pid} waiting={self.waiting}>"

    def locked(self) -> bool:
        """Whether a process holds it now."""
        return self.holder_pid is not None

    def release(self) -> None:
        """Give it back. RuntimeError when it is free, or another process's. Thread-safe."""
        self._release()

    def _operation(self) -> AcquireMutex:
        return AcquireMutex(self)

    def _give_back_left(self) -> None:
        self._release(is_left=True)
