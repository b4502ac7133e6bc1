"""What goes on beside a read or a write of the same file: other writes, and close()."""

import asyncio
import os

import pytest

from zcloop import files

pytestmark = pytest.mark.zcloop_only


async def test_lines_are_whole_while_the_same_bytes_are_written_elsewhere(tmp_path):
    lines = [b"%012d\n" % number for number in range(30_000)]
    (tmp_path / "file").write_bytes(b"".join(lines))
    async with files.open(tmp_path / "file", "r+b") as file:

        async def write_again():
            for number in range(0, len(lines), 100):
                await file.pwrite(lines[number], number * len(lines[0]))
                await asyncio.sleep(0)

        writing = asyncio.create_task(write_again())
        assert [line async for line in file] == lines
        await writing


async def test_a_write_that_has_returned_is_read(tmp_path):
    (tmp_path / "file").write_bytes(b"a" * 20_000)
    async with files.open(tmp_path / "file", "r+b") as file:
        file._writes_at_once = False  # as on file systems without RWF_NOWAIT
        writing = asyncio.create_task(file.pwrite(b"b" * 20_000, 0))
        await asyncio.sleep(0)
        await file.read(10)
        await writing
        assert await file.read(10) == b"b" * 10


async def test_writing_nothing_leaves_the_position(tmp_path):
    (tmp_path / "file").write_bytes(b"0123456789")
    async with files.open(tmp_path / "file", "a+b") as file:
        await file.seek(3)
        assert await file.write(b"") == 0
        assert (await file.tell(), await file.read(3)) == (3, b"345")


async def test_who_was_woken_for_a_pipe_that_another_has_closed_is_told():
    source, target = os.pipe()
    one, other = await files.open(source, "rb", 0), await files.open(os.dup(source), "rb", 0)

    async def read_and_close(mine, others):
        data = await mine.read1(1)
        await others.close()
        return data

    tasks = [asyncio.create_task(read_and_close(*pair)) for pair in ((one, other), (other, one))]
    while not (one._waits and other._waits):
        await asyncio.sleep(0)
    os.write(target, b"x")
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert sorted(map(type, results), key=str) == [ValueError, bytes]
    await one.close()
    await other.close()
    os.close(target)


async def test_closing_ends_who_waits_for_room_in_a_pipe():
    source, target = os.pipe()
    file = await files.open(target, "wb", 0)
    writing = asyncio.create_task(file.write(bytes(1_000_000)))
    while not file._waits:
        await asyncio.sleep(0)
    await file.close()
    with pytest.raises(ValueError, match="closed file"):
        await writing
    os.set_blocking(source, False)
    while os.read(source, 1 << 20):
        pass
    os.close(source)
