"""zcloop.files in text modes: what open()'s files do, and positions that mean what they say."""

import asyncio
import io

import pytest

from zcloop import files

pytestmark = pytest.mark.zcloop_only
TEXT = "first\r\nzweite Zeile äöü\r\rthird\n\n" + "長い行 " * 4000 + "\nlast, without end"
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-32-le", "utf-7", "iso2022_jp_2", "gb18030"]
NEWLINES = [None, "", "\n", "\r", "\r\n"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("newline", NEWLINES)
async def test_text_is_read_as_open_reads_it(tmp_path, encoding, newline):
    path = tmp_path / "text"
    path.write_bytes(TEXT.encode(encoding))
    with open(path, encoding=encoding, newline=newline) as theirs:
        lines = theirs.readlines()
        theirs.seek(0)
        whole = theirs.read()
    async with files.open(path, encoding=encoding, newline=newline) as ours:
        assert [line async for line in ours] == lines
        assert await ours.read() == ""
        await ours.seek(0)
        assert await ours.read() == whole
        await ours.seek(0)
        parts = [await ours.read(7), await ours.readline(), await ours.readline(3)]
        assert "".join(parts) + await ours.read() == whole
    assert await files.read_text(path, encoding, newline=newline) == whole


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("newline", NEWLINES)
async def test_text_is_written_as_open_writes_it(tmp_path, encoding, newline):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for mode in ("w", "a", "r+"):
        with open(theirs, mode, encoding=encoding, newline=newline) as file:
            file.write(TEXT)
            file.writelines(["more\n", ""])
        async with files.open(ours, mode, encoding=encoding, newline=newline) as file:
            assert await file.write(TEXT) == len(TEXT)
            await file.writelines(["more\n", ""])
        assert ours.read_bytes() == theirs.read_bytes()


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("newline", NEWLINES)
async def test_seek_returns_to_where_tell_was(tmp_path, encoding, newline):
    path = tmp_path / "text"
    path.write_bytes(TEXT.encode(encoding))
    async with files.open(path, encoding=encoding, newline=newline) as file:
        places = []
        while True:
            place = await file.tell()
            part = await file.readline(997)
            places.append((place, part))
            if not part:
                break
        for place, part in reversed(places):
            assert await file.seek(place) == place
            assert await file.tell() == place
            assert await file.readline(997) == part


async def test_lines_are_not_kept_once_they_are_used(tmp_path):
    path = tmp_path / "text"
    path.write_text("a line of some length\n" * 20_000)
    async with files.open(path) as file:
        async for _ in file:
            assert len(file._text) < 20_000


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("r", 0), ValueError),
        (("rt", -1, "no such encoding"), LookupError),
        (("r", -1, None, None, "\t"), ValueError),
        (("rb", -1, "utf-8"), ValueError),
        (("rw",), ValueError),
        (("q",), ValueError),
        ((7,), TypeError),
    ],
)
async def test_what_open_refuses_is_refused_alike(tmp_path, arguments, error):
    path = tmp_path / "text"
    path.write_text("kept")
    with pytest.raises(error) as ours:
        await files.open(path, *arguments)
    with pytest.raises(error) as theirs:
        open(path, *arguments)  # noqa: SIM115
    assert str(ours.value) == str(theirs.value)
    assert path.read_text() == "kept"


async def test_errors_of_encodings_are_those_of_open(tmp_path):
    path = tmp_path / "text"
    path.write_bytes(b"good \xff bad")
    async with files.open(path, encoding="utf-8") as file:
        with pytest.raises(UnicodeDecodeError):
            await file.read()
    assert await files.read_text(path, "utf-8", "replace") == "good \ufffd bad"
    async with files.open(path, "w", encoding="ascii") as file:
        with pytest.raises(UnicodeEncodeError):
            await file.write("ä")
        assert await file.write("fine") == 4
    assert path.read_bytes() == b"fine"


async def test_what_a_text_file_cannot_do_is_said(tmp_path):
    async with files.open(tmp_path / "text", "w+") as file:
        await file.write("one\ntwo\n")
        for whence in (1, 2):
            with pytest.raises(io.UnsupportedOperation, match="nonzero"):
                await file.seek(1, whence)
        with pytest.raises(ValueError, match="negative"):
            await file.seek(-1)
        with pytest.raises(TypeError, match="must be str"):
            await file.write(b"bytes")
        await file.seek(0)
        assert await file.readline() == "one\n"
        with pytest.raises(io.UnsupportedOperation, match="size in bytes"):
            await file.truncate()
        await file.seek(await file.tell())
        assert await file.truncate(4) == 4
    assert (tmp_path / "text").read_text() == "one\n"
    async with files.open(tmp_path / "text") as file:
        with pytest.raises(io.UnsupportedOperation):
            await file.write("text")
    with pytest.raises(ValueError, match="closed"):
        await file.read()


async def test_a_cancelled_read_of_text_loses_nothing(tmp_path):
    path = tmp_path / "text"
    path.write_text(TEXT, newline="")
    async with files.open(path, newline="") as file:
        got = ""
        while len(got) < len(TEXT):
            reading = asyncio.create_task(file.read(100))
            await asyncio.sleep(0)
            reading.cancel()
            await asyncio.wait([reading])
            got += "" if reading.cancelled() else reading.result()
            got += await file.read(50)
        assert got == TEXT


async def test_text_is_written_whole_or_not_opened(tmp_path):
    path = tmp_path / "text"
    assert await files.write_text(path, "ä\n", "latin-1", newline="\r\n") == 2
    assert path.read_bytes() == b"\xe4\r\n"
    with pytest.raises(TypeError, match="must be str"):
        await files.write_text(path, b"bytes")
    assert path.read_bytes() == b"\xe4\r\n"


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("there", ["", "there\n"])
async def test_what_was_appended_is_read_back_from_where_it_begins_as_open_reads_it(
    tmp_path, encoding, there
):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for path in (ours, theirs):
        path.write_bytes(there.encode(encoding))
    with open(theirs, "a+", encoding=encoding) as file:
        place = file.tell()
        file.write("one\ntwo\n")
        file.seek(place)
        wanted = [file.readline(), file.read()]
        file.seek(place)
        file.write("three\n")
    async with files.open(ours, "a+", encoding=encoding) as file:
        place = await file.tell()
        await file.write("one\ntwo\n")
        await file.seek(place)
        assert [await file.readline(), await file.read()] == wanted == ["one\n", "two\n"]
        await file.seek(place)
        await file.write("three\n")
    assert ours.read_bytes() == theirs.read_bytes()


MIDDLE = "one\nzwei äö\n\nthird 長い行\n" * 3


@pytest.mark.parametrize("encoding", sorted({*ENCODINGS} - {"utf-7", "iso2022_jp_2"}))  # they shift
@pytest.mark.parametrize("newline", NEWLINES)
async def test_what_is_written_after_seek_goes_to_that_place_as_open_writes_it(
    tmp_path, encoding, newline
):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    form = {"encoding": encoding, "newline": newline}
    for size in range(1, len(MIDDLE) - 6, 2):
        for path in (ours, theirs):
            path.write_bytes(MIDDLE.encode(encoding))
        with open(theirs, "r+", **form) as file:
            first = file.read(size)
            file.seek(file.tell())
            file.write("NEW\n")
            file.flush()
        async with files.open(ours, "r+", **form) as file:
            assert await file.read(size) == first
            await file.seek(await file.tell())
            await file.write("NEW\n")
        assert ours.read_bytes() == theirs.read_bytes(), size


async def test_what_is_written_after_seek_goes_between_any_two_line_ends(tmp_path):
    path = tmp_path / "text"
    text = "one\rzwei äö\r\n\r\rthird 長い行\n\r" * 3 + "end"
    for size in range(1, len(text)):
        if text[size - 1 : size + 1] == "\r\n":
            continue  # nobody knows of a place in the middle of a line end
        path.write_bytes(text.encode())
        async with files.open(path, "r+", newline="") as file:
            assert await file.read(size) == text[:size]
            await file.seek(await file.tell())
            await file.write("NEW")
        before = text[:size].encode()
        after = text.encode()[len(before) + 3 :]
        assert path.read_bytes() == before + b"NEW" + after, size


async def test_a_file_is_cut_at_the_place_that_was_sought(tmp_path):
    path = tmp_path / "text"
    path.write_text("one\ntwo\nthree\n")
    async with files.open(path, "r+") as file:
        assert [await file.readline(), await file.readline()] == ["one\n", "two\n"]
        await file.seek(await file.tell())
        assert await file.truncate() == 8
    assert path.read_text() == "one\ntwo\n"


@pytest.mark.parametrize("mode", ["r", "rb"])
async def test_readlines_stops_where_opens_does(tmp_path, mode):
    path = tmp_path / "lines"
    path.write_text("abc\nde\nfgh\nij\n")
    for hint in (None, -1, 0, *range(1, 16)):
        with open(path, mode) as theirs:
            wanted = theirs.readlines(hint)
        async with files.open(path, mode) as ours:
            assert await ours.readlines(hint) == wanted
