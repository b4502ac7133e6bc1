"""A lock that many read, or one writes, in tasks, threads and processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from zcloop._native.sync import lock_words
from zcloop._native.sync.acquire_reader import AcquireReader
from zcloop._native.sync.acquire_writer import AcquireWriter
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
        """One reader of this process goes; RuntimeError when none reads. Thread-safe."""
        self._lock._release_read()

    def _operation(self) -> AcquireReader:
        return AcquireReader(self._lock)

    def _give_back_left(self) -> None:
        """Nothing: over a dead writer's data no reader is let in."""


class Writer(OwnedAcquirable):
    """A lock's side for writing: `acquire`, `release`, `async with` and the like."""

    def __init__(self, lock: ReadWriteLock) -> None:
        self._lock = lock

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._lock!r}>"

    def release(self) -> None:
        """Let others in. RuntimeError when nobody writes, or another process. Thread-safe."""
        self._lock._release()

    def _operation(self) -> AcquireWriter:
        return AcquireWriter(self._lock)

    def _give_back_left(self) -> None:
        self._lock._release(is_left=True)


class ReadWriteLock(LockWords):
    """Many readers or one writer: `async with lock.reader:` and `async with lock.writer:`.

    In private memory, or with `buffer` in SIZE bytes of it from `offset` on, a multiple of 8: one
    process makes it there, once; others `attach`. The buffer cannot be closed until `close` or
    the end of this object and its sides. Thread-safe, and usable from several loops and
    processes, of which at most PROCESSES_MAX living ones may ever have read (OSError, EMFILE).

    Writers come first: as soon as one waits for readers to go, new readers wait, one that reads
    already and asks again included (do not nest). Between two writers those who wait to read may
    come in, and a stream of writers can keep readers out.

    Holders are processes, as of Mutex, and their death is noticed alike, within a second by who
    waits. Of a writer: the next writer has the lock and gets OwnerDiedError; readers get it, and
    are not let in, until a writer has repaired and released. Of a reader: it is counted no more.
    """

    SIZE: ClassVar[int] = lock_words.SIZE
    PROCESSES_MAX: ClassVar[int] = lock_words.PROCESSES_MAX

    def __init__(self, *, buffer: Buffer | None = None, offset: int = 0) -> None:
        self._create(buffer, offset)

    @classmethod
    def attach(cls, buffer: Buffer, offset: int = 0) -> Self:
        """The lock that another process, or object, made there; ValueError if none did."""
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
        """The side for reading; a new object each time, of the same lock."""
        return Reader(self)

    @property
    def writer(self) -> Writer:
        """The side for writing; a new object each time, of the same lock."""
        return Writer(self)
