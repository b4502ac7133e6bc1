"""zcloop.files in binary modes: what open()'s files do, without a thread."""

import array
import asyncio
import ctypes
import io
import mmap
import os
import threading

import pytest

from zcloop import files

pytestmark = pytest.mark.zcloop_only
LINES = b"first\n\nthird, " + b"long " * 5000 + b"\nno newline"
MODES = ["rb", "wb", "ab", "xb", "r+b", "w+b", "a+b", "x+b"]
STEPS = [
    [("read",)],
    [("read", 3), ("tell",), ("read", 0), ("read", 20_000), ("tell",), ("read", None)],
    [("readline",), ("readline", 2), ("tell",), ("readlines", 10), ("read", 4)],
    [("readlines",), ("readlines",), ("read", 1)],
    [("seek", 7), ("read", 5), ("seek", -3, 1), ("read", 5), ("seek", -4, 2), ("read",)],
    [("seek", 30_000), ("read", 1), ("seek", 2), ("readline",), ("seek", 1, 1), ("tell",)],
    [("write", b"abc"), ("tell",), ("write", memoryview(b"defg")), ("tell",), ("write", b"")],
    [("seek", 5), ("write", b"middle"), ("seek", 0), ("read",)],
    [("read", 4), ("write", b"over"), ("tell",), ("read", 6), ("seek", 0), ("read",)],
    [("truncate", 9), ("tell",), ("seek", 0), ("read",)],
    [("seek", 12), ("truncate",), ("seek", 0), ("read",), ("truncate", 40), ("seek", 0), ("read",)],
    [("writelines", [b"one", b"two"]), ("tell",), ("seek", 0), ("readline",)],
    [("readable",), ("writable",), ("seekable",), ("isatty",), ("read1", 10), ("read1", 0)],
    [("write", "text"), ("read", "x"), ("seek", -1), ("seek", "a"), ("truncate", -1)],
    [("close",), ("close",), ("read",), ("write", b""), ("fileno",), ("tell",), ("seek", 0)],
    [("close",), ("readline",), ("flush",), ("truncate",), ("readlines",)],
]
MEMORY = {
    "array of words": lambda: array.array("I", bytes(4000)),
    "mmap": lambda: mmap.mmap(-1, 4000),
    "words of ctypes": lambda: (ctypes.c_uint16 * 2000)(),
    "view of ctypes": lambda: memoryview((ctypes.c_char * 4000)()),
    "view in rows": lambda: memoryview(bytearray(4000)).cast("B", [4, 1000]),
}


async def outcome(call, *arguments):
    """What a call gives, or the kind of its error; the call may be awaited or not."""
    try:
        result = call(*arguments)
        return await result if asyncio.iscoroutine(result) else result
    except Exception as error:
        return type(error)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("steps", STEPS, ids=lambda steps: "-".join(name for name, *_ in steps))
async def test_a_file_does_what_that_of_open_does(tmp_path, mode, steps):
    paths = tmp_path / "ours", tmp_path / "theirs"
    if "x" not in mode:
        for path in paths:
            path.write_bytes(LINES)
    async with files.open(paths[0], mode) as ours:
        with open(paths[1], mode) as theirs:
            for name, *arguments in steps:
                got = await outcome(getattr(ours, name), *arguments)
                wanted = await outcome(getattr(theirs, name), *arguments)
                if got is io.UnsupportedOperation and wanted is TypeError:
                    continue  # both are true; Python 3.13 looks at the argument first
                assert got == wanted, (name, *arguments)
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize("buffering", [-1, 0, 7, 100_000])
async def test_lines_come_whatever_is_read_ahead(tmp_path, buffering):
    path = tmp_path / "lines"
    path.write_bytes(LINES)
    async with files.open(path, "rb", buffering) as file:
        assert [line async for line in file] == LINES.splitlines(keepends=True)


async def test_a_line_of_no_bytes_is_empty(tmp_path):
    path = tmp_path / "lines"
    path.write_bytes(LINES)
    async with files.open(path, "rb") as file:
        assert await file.readline(0) == b""
        assert await file.readline() == b"first\n"


async def test_an_opening_can_be_awaited(tmp_path):
    file = await files.open(tmp_path / "new", "xb")
    assert await file.write(b"kept") == 4
    await file.close()
    assert file.closed
    assert (tmp_path / "new").read_bytes() == b"kept"


async def test_positional_calls_leave_the_position(tmp_path):
    async with files.open(tmp_path / "file", "w+b") as file:
        await file.write(b"0123456789")
        await file.seek(2)
        assert await file.read(1) == b"2"
        assert await file.pwrite(b"xy", 3) == 2
        assert await file.pwritev([b"A", b"B"], 8) == 2
        assert await file.pread(4, 2) == b"2xy5"
        buffers = [bytearray(2), bytearray(9)]
        assert await file.preadv(buffers, 6) == 4
        assert buffers == [b"67", b"AB" + bytes(7)]
        assert await file.tell() == 3
        assert await file.read() == b"xy567AB"


async def test_vectors_move_the_position(tmp_path):
    async with files.open(tmp_path / "file", "w+b") as file:
        assert await file.writev([b"abc", b"", bytearray(b"defg")]) == 7
        assert await file.tell() == 7
        await file.seek(1)
        buffers = [bytearray(2), bytearray(3)]
        assert await file.readv(buffers) == 5
        assert buffers == [b"bc", b"def"]
        assert await file.tell() == 6
        assert await file.readv([bytearray(1), bytearray(1)]) == 1
        assert await file.readv([bytearray(1)]) == 0


async def test_readinto_fills_all_but_at_the_end(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(LINES)
    buffer = bytearray(20_000)
    async with files.open(path, "rb") as file:
        assert await file.read(5) == LINES[:5]
        assert await file.readinto(buffer) == 20_000
        assert buffer == LINES[5:20_005]
        assert await file.readinto(buffer) == len(LINES) - 20_005
        assert await file.readinto(buffer) == 0
        with pytest.raises(TypeError, match="writable"):
            await file.readinto(b"constant")


@pytest.mark.parametrize("kind", MEMORY)
async def test_any_contiguous_memory_is_read_into_and_written_from(tmp_path, kind):
    path = tmp_path / "file"
    path.write_bytes(LINES)
    buffer = MEMORY[kind]()
    async with files.open(path, "r+b") as file:
        assert await file.readinto(buffer) == 4000
        assert memoryview(buffer).tobytes() == LINES[:4000]
        assert await file.readv([buffer, bytearray(1)]) == 4001
        assert memoryview(buffer).tobytes() == LINES[4000:8000]
        await file.seek(0)
        assert await file.write(buffer) == 4000
        assert await file.writev([b"x", buffer]) == 4001
    assert path.read_bytes()[:8001] == LINES[4000:8000] + b"x" + LINES[4000:8000]


async def test_space_is_reserved_and_the_disk_waited_for(tmp_path):
    async with files.open(tmp_path / "file", "wb") as file:
        await file.fallocate(0, 0, 8192)
        assert (await file.stat()).st_size == 8192
        await file.write(b"x")
        await file.fsync()
        await file.fdatasync()
        await file.flush()
        assert isinstance(await file.stat(), os.stat_result)


async def test_appending_goes_to_the_end_wherever_the_position_is(tmp_path):
    path = tmp_path / "log"
    async with files.open(path, "ab") as one, files.open(path, "ab") as other:
        await one.write(b"1")
        await other.write(b"2")
        await one.write(b"3")
        assert await one.tell() == 3
    assert path.read_bytes() == b"123"


async def test_calls_of_several_tasks_take_their_turn(tmp_path):
    path = tmp_path / "file"
    async with files.open(path, "w+b") as file:
        await asyncio.gather(*(file.write(b"%03d" % number) for number in range(100)))
        await file.seek(0)
        parts = await asyncio.gather(*(file.read(3) for _ in range(100)))
    assert parts == [b"%03d" % number for number in range(100)]


async def test_a_pipe_is_read_by_a_task_that_waits_for_it():
    source, target = os.pipe()
    async with files.open(source, "rb") as reader:
        reading = asyncio.create_task(reader.readline())
        async with files.open(target, "wb") as writer:
            await asyncio.sleep(0)
            assert not reading.done()
            await writer.write(b"half, ")
            await writer.write(b"whole\nrest")
            assert await reading == b"half, whole\n"
            assert not reader.seekable()
            with pytest.raises(io.UnsupportedOperation):
                await reader.seek(0)
        assert await reader.read() == b"rest"


async def test_a_fifo_that_nobody_writes_to_does_not_keep_the_loop_waiting(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reading = asyncio.create_task(files.read_bytes(path))
    async with files.open(path, "wb") as writer:
        await writer.write(b"through")
    assert await reading == b"through"


async def test_reads_that_never_wait_let_others_run(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(4096))
    counts = [0, 0]

    async def read(index: int) -> None:
        async with files.open(path, "rb") as file:
            for _ in range(1000):
                await file.pread(4096, 0)
                counts[index] += 1
                assert abs(counts[0] - counts[1]) <= 200

    await asyncio.gather(read(0), read(1))


async def test_no_thread_is_started(tmp_path):
    before = threading.enumerate()
    assert await files.write_bytes(tmp_path / "file", LINES) == len(LINES)
    assert await files.read_bytes(tmp_path / "file") == LINES
    assert await files.copy(tmp_path / "file", tmp_path / "copy") == len(LINES)
    assert (tmp_path / "copy").read_bytes() == LINES
    assert threading.enumerate() == before


async def test_a_python_whose_c_library_has_no_nowait_reads_and_writes_too(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "RWF_NOWAIT")
    async with files.open(tmp_path / "file", "w+b") as file:
        await file.write(LINES)
        await file.seek(0)
        assert await file.readlines() == LINES.splitlines(keepends=True)
        assert await file.pread(5, 0) == b"first"
