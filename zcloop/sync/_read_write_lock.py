"""A lock that many read, or one writes, in tasks, threads and processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from zcloop._native.sync import lock_words
from zcloop._native.sync.acquire import AcquireReader, AcquireWriter
from zcloop._native.sync.lock_words import LockWords
from zcloop.sync._mutex import OwnedAcquirable

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Reader(OwnedAcquirable):
    """A lock's side for reading: `acquire`, `release`, `async with` and the like."""

    def __init__(self, lock: ReadWriteLock) -> None:
        self._lock = lock

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._lock!r}>"

    def release(self) -> None:
        """One reader of this process goes. Thread-safe.

        RuntimeError when no reader of this process is in; ValueError once the lock is closed.
        """
        self._lock._release_read()

    def _operation(self) -> AcquireReader:
        return AcquireReader(self._lock)

    def _release_unrepaired(self) -> None:
        """Nothing: no reader is let in over a dead writer's data."""


class Writer(OwnedAcquirable):
    """A lock's side for writing: `acquire`, `release`, `async with` and the like."""

    def __init__(self, lock: ReadWriteLock) -> None:
        self._lock = lock

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._lock!r}>"

    def release(self) -> None:
        """Let others in. Thread-safe.

        RuntimeError when this process does not write; ValueError once the lock is closed.
        """
        self._lock._release()

    def _operation(self) -> AcquireWriter:
        return AcquireWriter(self._lock)

    def _release_unrepaired(self) -> None:
        self._lock._release(is_left=True)


class ReadWriteLock(LockWords):
    """Many readers or one writer: `async with lock.reader:` and `async with lock.writer:`.

    It is in private memory, or with `buffer` in SIZE bytes of that from `offset` on, a multiple of
    8. One process makes it there, once; the others `attach`. The buffer cannot be closed before
    `close` or the end of this object and its sides. Thread-safe, and usable from several loops and
    processes. At most PROCESSES_MAX living processes may ever have read (OSError, EMFILE).

    Writers come first: as soon as one waits for readers to go, new readers wait. That holds also
    for a reader that asks once more (do not nest). Between two writers those who wait to read may
    come in, and a stream of writers can keep readers out.

    Holders are processes, as of Mutex, and a waiter notices their death in the same way, within a
    second. When a writer has died, the next writer has the lock and gets OwnerDiedError; readers
    get OwnerDiedError, and are not let in, until a writer has repaired and released. When a reader
    has died, it is no longer counted.

    ValueError for a bad offset or a place that is in use; BufferError for memory that is not
    writable.
    """

    SIZE: ClassVar[int] = lock_words.SIZE
    PROCESSES_MAX: ClassVar[int] = lock_words.PROCESSES_MAX

    def __init__(self, *, buffer: Buffer | None = None, offset: int = 0) -> None:
        self._create(buffer, offset)

    @classmethod
    def attach(cls, buffer: Buffer, offset: int = 0) -> Self:
        """The lock that another process, or another object, made in this buffer at this offset.

        ValueError if there is none. BufferError for memory that is not writable.
        """
        lock = cls.__new__(cls)
        lock._attach(buffer, offset)
        return lock

    def __repr__(self) -> str:
        if self.closed:
            return f"<{type(self).__name__} closed>"
        state = f"readers={self.readers_count} writer={self.holder_pid}"
        return f"<{type(self).__name__} {state}>"

    @property
    def reader(self) -> Reader:
        """The lock's side for reading, for `async with lock.reader:` and for `acquire`, `release`
        and the like. Many may read at a time. A new object each time, of the same lock."""
        return Reader(self)

    @property
    def writer(self) -> Writer:
        """The lock's side for writing, for `async with lock.writer:` and for `acquire`, `release`
        and the like. One may write at a time. A new object each time, of the same lock."""
        return Writer(self)
