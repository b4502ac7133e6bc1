r"""Files that are awaited, without threads: open, copy, and whole files at once.

    async with zcloop.files.open("journal", "a") as file:
        await file.write("one line\n")

A zcloop loop has to run: RuntimeError says so otherwise. What the page cache has is read at once,
the rest waits on the loop's channel. Opening goes through the channel, too: a network file system
or a FIFO would keep the whole loop waiting.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar, cast, overload

from zcloop._native.operation import request
from zcloop.files._binary import BinaryFile
from zcloop.files._text import TextFile, TextFormat
from zcloop.loop import Loop
from zcloop.loop._running import running_loop

if TYPE_CHECKING:
    from _typeshed import OpenBinaryMode, OpenTextMode
    from typing_extensions import Buffer

__all__ = [
    "BinaryFile",
    "Opening",
    "TextFile",
    "copy",
    "open",
    "read_bytes",
    "read_text",
    "write_bytes",
    "write_text",
]

Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]
_File = TypeVar("_File", BinaryFile, TextFile)
_open = io.open

COPY_SIZE = 1 << 20


class Opening(Generic[_File]):
    """A file about to be opened: await it, or enter it with `async with`, which closes it."""

    def __init__(self, path: Path | int, asked: _Asked, flags: int) -> None:
        self._path = path
        self._asked = asked
        self._flags = flags

    def __await__(self) -> Generator[Any, None, _File]:
        return self._opened().__await__()

    async def __aenter__(self) -> _File:
        self._file: _File = await self._opened()
        return self._file

    async def __aexit__(self, *exception: object) -> None:
        await self._file.close()

    async def _opened(self) -> _File:
        loop = running_loop("a file")
        if isinstance(self._path, int):
            return cast(_File, self._asked.file_of(loop, self._path, None))
        path = os.fspath(self._path)
        flags = self._asked.flags() | self._flags
        fd: int = await loop.perform(request.openat(path, flags, 0o666))
        if fd < 0:
            raise OSError(-fd, os.strerror(-fd), path)
        return cast(_File, self._asked.file_of(loop, path, lambda *_: fd))


class _Flags(Exception):  # noqa: N818
    """Ends an open() that was only to say which flags it would open with."""


class _Asked:
    """The arguments of an open(), which the standard library's own checks and understands."""

    def __init__(
        self,
        mode: str,
        buffering: int,
        encoding: str | None,
        errors: str | None,
        newline: str | None,
    ) -> None:
        self.arguments = (mode, buffering, encoding, errors, newline)

    def flags(self) -> int:
        """What open(2) is given. Raises what open() raises for a bad mode or combination."""
        if (flags := _known_flags.get(self.arguments)) is None:
            flags = _known_flags[self.arguments] = _flags_of(*self.arguments)
        return flags

    def file_of(self, loop: Loop, path: Path | int, opener: Any) -> BinaryFile | TextFile:
        mode, buffering, encoding, errors, newline = self.arguments
        if "b" in mode:
            raw = _open(path, mode, 0, encoding, errors, newline, opener=opener)
            return BinaryFile(loop, cast(io.FileIO, raw), _ahead_size(buffering))
        text = cast(
            io.TextIOWrapper,
            _open(path, mode, buffering, encoding, errors, newline, opener=opener),
        )
        form = TextFormat(text.encoding, text.errors or "strict", newline)
        raw = cast(Any, text.detach()).detach()
        return TextFile(BinaryFile(loop, cast(io.FileIO, raw), _ahead_size(buffering)), form)


def _ahead_size(buffering: int) -> int:
    return buffering if buffering == 0 or buffering > 1 else io.DEFAULT_BUFFER_SIZE


def _refuse(_: object, flags: int) -> NoReturn:
    raise _Flags(flags)


# Of each combination of arguments that was opened once.
_known_flags: dict[tuple[object, ...], int] = {}


def _flags_of(
    mode: str, buffering: int, encoding: str | None, errors: str | None, newline: str | None
) -> int:
    try:
        _open("", mode, buffering, encoding, errors, newline, opener=_refuse)
    except _Flags as found:
        return int(found.args[0])
    raise AssertionError("open() did not ask its opener")


@overload
def open(  # noqa: A001
    path: Path | int,
    mode: OpenTextMode = "r",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    *,
    flags: int = 0,
) -> Opening[TextFile]: ...
@overload
def open(  # noqa: A001
    path: Path | int,
    mode: OpenBinaryMode,
    buffering: int = -1,
    encoding: None = None,
    errors: None = None,
    newline: None = None,
    *,
    flags: int = 0,
) -> Opening[BinaryFile]: ...
@overload
def open(  # noqa: A001
    path: Path | int,
    mode: str,
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    *,
    flags: int = 0,
) -> Opening[Any]: ...
def open(  # noqa: A001
    path: Path | int,
    mode: str = "r",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    *,
    flags: int = 0,
) -> Opening[Any]:
    """Open a file: `async with zcloop.files.open(path) as file`, or `file = await …open(path)`.

    Arguments and errors are those of the built-in open(); `flags` adds what os.open has, as
    os.O_DIRECT. Writes are not buffered; reads are, but with buffering=0 or O_DIRECT. A descriptor
    in place of a path is closed with the file. RuntimeError without a running zcloop loop.
    """
    return Opening(path, _Asked(mode, buffering, encoding, errors, newline), flags)


async def copy(source: Path, target: Path) -> int:
    """Copy what is in a file, to one that is made or replaced; how many bytes that were.

    Raises shutil.SameFileError, and what open() raises. Permissions are not copied.
    """
    async with open(source, "rb") as reader:
        try:
            there = os.stat(target)
        except FileNotFoundError:
            pass
        else:
            if os.path.samestat(there, await reader.stat()):
                raise shutil.SameFileError(f"{source!r} and {target!r} are the same file")
        async with open(target, "wb") as writer:
            total = 0
            buffer = memoryview(bytearray(COPY_SIZE))
            while size := await reader.readinto(buffer):
                total += await writer.write(buffer[:size])
            return total


async def read_bytes(path: Path) -> bytes:
    """All bytes of a file."""
    async with open(path, "rb") as file:
        return await file.read()


async def write_bytes(path: Path, data: Buffer) -> int:
    """Make or replace a file; how many bytes it has."""
    with memoryview(data):  # a TypeError leaves the file as it was
        pass
    async with open(path, "wb") as file:
        return await file.write(data)


async def read_text(
    path: Path, encoding: str | None = None, errors: str | None = None, newline: str | None = None
) -> str:
    """All text of a file."""
    async with open(path, "r", -1, encoding, errors, newline) as file:
        return await file.read()


async def write_text(
    path: Path,
    text: str,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
) -> int:
    """Make or replace a file; how many characters it has."""
    if not isinstance(text, str):
        raise TypeError(f"data must be str, not {type(text).__name__}")
    async with open(path, "w", -1, encoding, errors, newline) as file:
        return await file.write(text)
