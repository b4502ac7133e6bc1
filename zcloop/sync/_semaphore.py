"""Semaphores that tasks, threads and processes share, for programs with a loop and without."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar, Self

from zcloop._native.sync import posix_semaphore, semaphore_words
from zcloop._native.sync.acquire import Acquire
from zcloop._native.sync.posix_semaphore import PosixSemaphore
from zcloop._native.sync.semaphore_words import VALUE_MAX, SemaphoreWords
from zcloop.sync._waiting import Acquirable

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Semaphore(SemaphoreWords, Acquirable):
    """A number of tokens: `acquire` gets one, and waits if there is none; `release` adds some.

    It is in private memory, or with `buffer` in SIZE bytes of that from `offset` on, a multiple of
    8: multiprocessing.shared_memory's `buf`, or an mmap. One process makes it there, once; the
    others `attach`. The buffer cannot be closed before `close` or the end of this object. `release`
    beyond `maximum` is a ValueError. Thread-safe, and usable from several loops and processes.

    Fairness: `acquire` lets those who wait go first, and the kernel wakes them in the order in
    which they began to wait. But a token that was released is nobody's until it is acquired.
    `try_acquire`, and whoever comes in the moment in which nobody is counted as waiting, may get it
    first. So between processes no order is promised.

    The tokens of a process that dies are lost, unless another process releases them. A waiter that
    is killed after it was woken, and before it has acquired, takes its wake-up along: another
    waiter sleeps on until the next release.

    ValueError for a bad value, maximum or offset, or a place that is in use; BufferError for
    memory that is not writable.
    """

    SIZE: ClassVar[int] = semaphore_words.SIZE

    def __init__(
        self,
        value: int = 1,
        *,
        maximum: int = VALUE_MAX,
        buffer: Buffer | None = None,
        offset: int = 0,
    ) -> None:
        self._create(value, maximum, buffer, offset)

    @classmethod
    def attach(cls, buffer: Buffer, offset: int = 0) -> Self:
        """The semaphore that another process, or another object, made in this buffer at this
        offset. ValueError if there is none; BufferError for memory that is not writable."""
        semaphore = cls.__new__(cls)
        semaphore._attach(buffer, offset)
        return semaphore

    def __repr__(self) -> str:
        if self.closed:
            return f"<{type(self).__name__} closed>"
        return f"<{type(self).__name__} value={self.value} waiting={self.waiting}>"

    def _operation(self) -> Acquire:
        return Acquire(self)


class NamedSemaphore(PosixSemaphore, Acquirable):
    """A POSIX named semaphore (sem_open), for processes of any language; fairness as Semaphore.

    `name` begins with a slash. With `create` it is made with `value` and the permissions `mode` if
    it does not exist; `exclusive` makes an existing one a FileExistsError. OSError as sem_open
    fails, ValueError for a value that is not from 0 to 2**31 - 1, and NotImplementedError where
    libc is not 64-bit glibc. Thread-safe.
    """

    def __init__(
        self,
        name: str,
        value: int = 0,
        *,
        create: bool = False,
        exclusive: bool = False,
        mode: int = 0o600,
    ) -> None:
        flags = (os.O_CREAT if create else 0) | (os.O_EXCL if exclusive else 0)
        self.name = name
        self._open(name, flags, mode, value)

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"value={self.value}"
        return f"<{type(self).__name__} {self.name!r} {state}>"

    def unlink(self) -> None:
        """Remove the name (sem_unlink); whoever has it open keeps it. FileNotFoundError if gone."""
        posix_semaphore.unlink(self.name)

    def _operation(self) -> Acquire:
        return Acquire(self)
