"""Semaphores that tasks, threads and processes share, for programs with a loop and without."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar, Self

from zcloop._native.sync import posix_semaphore, semaphore_words
from zcloop._native.sync.acquire_semaphore import AcquireSemaphore
from zcloop._native.sync.posix_semaphore import PosixSemaphore
from zcloop._native.sync.semaphore_words import VALUE_MAX, SemaphoreWords
from zcloop.sync._waiting import Acquirable

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Semaphore(SemaphoreWords, Acquirable):
    """A number of tokens: `acquire` takes one, waiting for it if there is none; `release` gives.

    In private memory, or with `buffer` in SIZE bytes of it from `offset` on, a multiple of 8:
    multiprocessing.shared_memory's `buf`, an mmap. One process makes it there, once; others
    `attach`. The buffer cannot be closed until `close` or the end of this object. `release`
    beyond `maximum` is a ValueError. Thread-safe, and usable from several loops and processes.

    Fairness: `acquire` lets those who wait go first, and the kernel wakes them in the order in
    which they began to wait. But a token that was released is nobody's until it is taken:
    `try_acquire`, and whoever comes in the moment in which no one is counted as waiting, may take
    it first, so between processes no order is promised.

    Tokens of a process that dies are lost, unless another releases them; so is, until the next
    release, the wake-up of one that is killed between being woken and taking.

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
        """The semaphore that another process, or object, made there; ValueError if none did."""
        semaphore = cls.__new__(cls)
        semaphore._attach(buffer, offset)
        return semaphore

    def __repr__(self) -> str:
        if self.closed:
            return f"<{type(self).__name__} closed>"
        return f"<{type(self).__name__} value={self.value} waiting={self.waiting}>"

    def _operation(self) -> AcquireSemaphore:
        return AcquireSemaphore(self)


class NamedSemaphore(PosixSemaphore, Acquirable):
    """A POSIX named semaphore (sem_open), for processes of any language; fairness as Semaphore.

    `name` begins with a slash. With `create` it is made with `value` if it does not exist;
    `exclusive` makes an existing one a FileExistsError. Raises OSError as sem_open fails, and
    NotImplementedError where libc is not 64-bit glibc.
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
        """Remove the name (sem_unlink); who has it open keeps it. FileNotFoundError if gone."""
        posix_semaphore.unlink(self.name)

    def _operation(self) -> AcquireSemaphore:
        return AcquireSemaphore(self)
