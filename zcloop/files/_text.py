"""A file of text: the standard library's incremental decoders over a BinaryFile.

Bytes are decoded a chunk at a time. For each chunk that is not used up, its start and the decoder's
state there are kept. So tell() can name a place in the middle of decoded text: start, state, and
how many characters to skip from there. A write holds nothing back.
"""

from __future__ import annotations

import codecs
import collections
import io
from collections.abc import Iterable
from typing import Any, NamedTuple, Self

from zcloop.files._binary import BinaryFile

# Bytes that are decoded at a time: what open() reads at a time.
CHUNK_SIZE = io.DEFAULT_BUFFER_SIZE
# A position is one number: the byte where a chunk starts, from bit 64 on the characters to skip
# from there, and from bit 128 on the decoder's state. Some states have more than 64 bits.
_SKIP_SHIFT = 64
_STATE_SHIFT = 128
_MASK = (1 << 64) - 1


class TextFormat(NamedTuple):
    """How the file encodes text, as open() found it out."""

    encoding: str
    errors: str
    newline: str | None


class _Chunk(NamedTuple):
    start: int
    state: int
    length: int  # in characters


class TextFile:
    """What zcloop.files.open gives for a text mode; `buffer` is the file of bytes below it.

    Errors are open()'s, UnicodeError included, and ValueError after close(). The positions of
    tell() mean something to seek() only. A read that is cancelled loses nothing. Only one task at
    a time may read or write. Not thread-safe.
    """

    def __init__(self, buffer: BinaryFile, form: TextFormat) -> None:
        self.buffer = buffer
        self._form = form
        self._text = ""
        self._used = 0  # characters of the text that were read
        self._chunks: collections.deque[_Chunk] = collections.deque()  # what the text is made of
        self._sought: _Chunk | None = None  # what seek() skipped, until something is read
        self._decoder = self._new_decoder()
        # A position has the state xor this one, so that byte 0 is position 0.
        self._fresh_state: int = self._decoder.getstate()[1]
        self._has_mark = "".encode(form.encoding) != b""
        encoder = codecs.getincrementalencoder(form.encoding)
        self._encoder = encoder(form.errors)
        if buffer.position:
            self._encoder.setstate(0)  # no byte order mark

    def _new_decoder(self) -> Any:
        decoder: Any = codecs.getincrementaldecoder(self._form.encoding)(self._form.errors)
        if self._form.newline in (None, ""):
            decoder = io.IncrementalNewlineDecoder(decoder, translate=self._form.newline is None)
        return decoder

    def __repr__(self) -> str:
        return f"<TextFile {self.name!r} encoding={self.encoding!r}>"

    @property
    def name(self) -> object:
        """What was opened: a path, or a descriptor."""
        return self.buffer.name

    @property
    def encoding(self) -> str:
        """The encoding's name, such as "utf-8"."""
        return self._form.encoding

    @property
    def errors(self) -> str:
        """What is done with bytes that cannot be decoded, such as "strict"."""
        return self._form.errors

    @property
    def newlines(self) -> str | tuple[str, ...] | None:
        """The kinds of line ends that were read so far, as the files of the built-in open()."""
        found: str | tuple[str, ...] | None = getattr(self._decoder, "newlines", None)
        return found

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self.buffer.closed

    def fileno(self) -> int:
        """The descriptor. ValueError when the file is closed."""
        return self.buffer.fileno()

    def readable(self) -> bool:
        """Whether the mode allows reading. ValueError when the file is closed."""
        return self.buffer.readable()

    def writable(self) -> bool:
        """Whether the mode allows writing. ValueError when the file is closed."""
        return self.buffer.writable()

    def seekable(self) -> bool:
        """Whether the file has a position. ValueError when the file is closed."""
        return self.buffer.seekable()

    def isatty(self) -> bool:
        """Whether it is a terminal. ValueError when the file is closed."""
        return self.buffer.isatty()

    async def close(self) -> None:
        """Close the file. Idempotent. See BinaryFile.close."""
        await self.buffer.close()

    async def __aenter__(self) -> Self:
        self.fileno()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    def __aiter__(self) -> Self:
        self._check_readable()
        return self

    async def __anext__(self) -> str:
        line = await self.readline()
        if not line:
            raise StopAsyncIteration
        return line

    # ---- reading -----------------------------------------------------------------------------

    async def read(self, size: int | None = -1, /) -> str:
        """Read `size` characters, fewer only at the file's end; without a size all up to its end.

        UnicodeError as `errors` has it.
        """
        self._check_readable()
        self._sought = None
        if size is None or size < 0:
            raw = await self.buffer.read()
            text: str = self._text[self._used :] + self._decoder.decode(raw, final=True)
            self._decoder.reset()
            self._forget()
            return text
        while len(self._text) - self._used < size and await self._decode_more():
            pass
        return self._consume(self._used + size)

    async def readline(self, size: int = -1, /) -> str:
        """Read up to and with the next line end, at most `size` characters; "" at the end."""
        self._check_readable()
        self._sought = None
        seen = self._used
        while (end := self._line_end(seen)) < 0:
            before = len(self._text) - self._used
            if 0 <= size <= before or not await self._decode_more():
                end = len(self._text)
                break
            # A chunk may end within a line end of two characters.
            seen = max(self._used, self._used + before - 1)
        return self._consume(end if size < 0 else min(end, self._used + size))

    async def readlines(self, hint: int | None = -1, /) -> list[str]:
        """Read the lines that are left; with a `hint`, until they are more characters than that."""
        self.fileno()
        lines, total = [], 0
        async for line in self:
            lines.append(line)
            total += len(line)
            if hint is not None and 0 < hint < total:
                break
        return lines

    def _line_end(self, start: int) -> int:
        """Where the first line after `start` ends, or -1."""
        text, newline = self._text, self._form.newline
        if newline == "":
            feed, turn = text.find("\n", start), text.find("\r", start)
            if turn < 0 or 0 <= feed < turn:
                return feed + 1 or -1
            return turn + 2 if feed == turn + 1 else turn + 1
        found = text.find(newline or "\n", start)
        return found + len(newline or "\n") if found >= 0 else -1

    def _consume(self, end: int) -> str:
        consumed = self._text[self._used : end]
        self._used += len(consumed)
        return consumed

    async def _decode_more(self) -> bool:
        """Decode the next chunk, behind what is not read yet; False at the end of the file."""
        raw = await self.buffer.read1(CHUNK_SIZE)
        self._drop_used()
        pending, state = self._decoder.getstate()
        start = self.buffer.position - len(raw) - len(pending)
        decoded = self._decoder.decode(raw, final=not raw)
        self._chunks.append(_Chunk(start, state, len(decoded)))
        self._text += decoded
        return bool(raw)

    def _drop_used(self) -> None:
        dropped = 0
        while self._chunks and self._used - dropped >= self._chunks[0].length:
            dropped += self._chunks.popleft().length
        self._text = self._text[dropped:]
        self._used -= dropped

    # ---- writing -----------------------------------------------------------------------------

    async def write(self, text: str, /) -> int:
        """Write all of a string; how many characters it has.

        TypeError for what is no str, io.UnsupportedOperation for a file that was opened to read.
        """
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if not self.writable():
            raise io.UnsupportedOperation("not writable")
        written = text
        if self._form.newline in ("\r", "\r\n"):
            written = text.replace("\n", self._form.newline)
        await self._go_to_byte()
        state = self._encoder.getstate()
        octets = self._encoder.encode(written)
        self._decoder.reset()
        self._forget()
        try:
            await self.buffer.write(octets)
        except BaseException:
            self._encoder.setstate(state)
            raise
        return len(text)

    async def writelines(self, lines: Iterable[str], /) -> None:
        """Write several strings, one after another."""
        for line in lines:
            await self.write(line)

    async def flush(self) -> None:
        """Does nothing, since no write is held back. ValueError when the file is closed."""
        await self.buffer.flush()

    async def truncate(self, size: int | None = None, /) -> int:
        """Make the file `size` bytes long, by default up to the position; the new size.

        io.UnsupportedOperation without a size in the middle of text that was read ahead.
        """
        if size is None:
            await self._go_to_byte()
            self._drop_used()
            if self._chunks:
                raise io.UnsupportedOperation(
                    "truncate() in the middle of text that was read ahead: say the size in bytes, "
                    "or seek() there first"
                )
        return await self.buffer.truncate(size)

    # ---- the position ------------------------------------------------------------------------

    async def tell(self) -> int:
        """Where the next character is, as a number for seek()."""
        position = await self.buffer.tell()
        self._drop_used()
        if self._chunks:
            start, state, _ = self._chunks[0]
        else:
            pending, decoder_state = self._decoder.getstate()
            start, state = position - len(pending), int(decoder_state)
        return start | self._used << _SKIP_SHIFT | (state ^ self._fresh_state) << _STATE_SHIFT

    async def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place that tell() gave; the new one. With `offset` 0, `whence` may be os.SEEK_CUR
        or os.SEEK_END.

        io.UnsupportedOperation for other offsets from there, ValueError for a negative one.
        """
        if whence and offset:
            kind = {1: "cur", 2: "end"}.get(whence, "such")
            raise io.UnsupportedOperation(f"can't do nonzero {kind}-relative seeks")
        if whence == 1:
            return await self.tell()
        if offset < 0:
            raise ValueError(f"negative seek position {offset}")
        start, skip = offset & _MASK, offset >> _SKIP_SHIFT & _MASK
        state = offset >> _STATE_SHIFT ^ self._fresh_state
        await self.buffer.seek(start, whence)
        position = await self.buffer.tell()
        self._decoder.reset()
        if start and state == self._fresh_state and self._has_mark:
            state = 0  # only the file's start has a byte order mark, and this is another place
        self._decoder.setstate((b"", state))
        self._encoder.reset()
        if offset or position:
            self._encoder.setstate(0)
        self._forget()
        while skip > len(self._text) and await self._decode_more():
            pass
        self._used = min(skip, len(self._text))
        self._sought = _Chunk(start, state, self._used) if skip else None
        return offset if not whence else position

    async def _go_to_byte(self) -> None:
        """After a seek() with no read since: move the position of the bytes to the place sought.

        To find the place, seek() has read ahead.
        """
        if self._sought is None:
            return
        start, state, left = self._sought
        decoder = self._new_decoder()
        decoder.setstate((b"", state))
        place = start
        turned = -1  # behind a "\r" whose character comes with the next byte, or -1
        while left > 0 and (raw := await self.buffer.pread(CHUNK_SIZE, place)):
            for octet in raw:
                given = len(decoder.decode(bytes((octet,))))
                place += 1
                left -= given
                is_turn = self._form.newline in (None, "") and decoder.getstate()[1] & 1 == 1
                if left < 0 and turned < 0:
                    raise io.UnsupportedOperation(
                        f"{self.encoding} cannot be written in the middle of a shifted run"
                    )
                if left < 0 or (left == 0 and is_turn and turned >= 0):
                    place = turned
                if left <= 0:
                    break
                if given or is_turn != (turned >= 0):
                    turned = place if is_turn else -1
        await self.buffer.seek(place)
        self._forget()

    def _forget(self) -> None:
        self._text = ""
        self._used = 0
        self._sought = None
        self._chunks.clear()

    def _check_readable(self) -> None:
        if not self.readable():
            raise io.UnsupportedOperation("not readable")
