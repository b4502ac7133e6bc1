"""zcloop.files: what is refused, calls that are cancelled, files that are left open."""

import asyncio
import errno
import gc
import os
import socket

import pytest
from peers import io_passed

from zcloop import files
from zcloop._native.memory.region import Region

pytestmark = pytest.mark.zcloop_only


def make(path, kind):
    if kind == "directory":
        path.mkdir()
    elif kind == "file":
        path.write_bytes(b"kept")
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "below a file":
        path.write_bytes(b"")
        path = path / "name"
    elif kind == "long name":
        path = path.with_name("n" * 300)
    return path


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("nothing", "rb"),
        ("nothing", "r+"),
        ("directory", "rb"),
        ("directory", "w"),
        ("file", "xb"),
        ("loop", "r"),
        ("below a file", "wb"),
        ("long name", "w"),
    ],
)
async def test_what_cannot_be_opened_is_told_as_open_tells_it(tmp_path, kind, mode):
    path = make(tmp_path / "name", kind)
    with pytest.raises(OSError) as theirs:
        open(path, mode)  # noqa: SIM115
    with pytest.raises(type(theirs.value)) as ours:
        await files.open(path, mode)
    assert str(ours.value) == str(theirs.value)
    assert ours.value.filename == theirs.value.filename


@pytest.mark.parametrize("path", ["with \0 null", 1.5, None, -1, 10**6])
async def test_paths_that_are_none(path):
    with pytest.raises((ValueError, TypeError, OSError)) as theirs:
        open(path, "rb")  # noqa: SIM115
    with pytest.raises(type(theirs.value)):
        await files.open(path, "rb")


CALLS = [
    ("pread", (10, -1), OSError),
    ("pread", (10, -(2**40)), OSError),
    ("pread", (-1, 0), ValueError),
    ("pread", (10, 2**63), OverflowError),
    ("pread", (10, "0"), TypeError),
    ("pread", (2**62, 0), MemoryError),
    ("preadv", ([bytearray(1)], -1), OSError),
    ("preadv", ([b"constant"], 0), BufferError),
    ("preadv", ([bytearray(1)] * 1025, 0), ValueError),
    ("readinto", ("text",), TypeError),
    ("readv", (["text"],), TypeError),
    ("pwrite", (b"x", -1), OSError),
    ("pwrite", (1, 0), TypeError),
    ("pwritev", ([b"x", "y"], 0), TypeError),
    ("pwrite", (b"x", 2**63 - 1), OSError),
    ("write", ("text",), TypeError),
    ("write", (memoryview(b"abcd")[::2],), BufferError),
    ("writev", (None,), TypeError),
    ("fallocate", (0, -1, 10), OSError),
    ("fallocate", (0, 0, 0), OSError),
    ("fallocate", (1 << 30, 0, 10), OSError),
    ("truncate", (-1,), OSError),
    ("seek", (0, 9), OSError),
]


@pytest.mark.parametrize(("name", "arguments", "error"), CALLS)
async def test_bad_arguments_are_refused_and_change_nothing(tmp_path, name, arguments, error):
    path = tmp_path / "file"
    path.write_bytes(b"kept")
    async with files.open(path, "r+b") as file:
        assert await file.read(2) == b"ke"
        with pytest.raises(error):
            await getattr(file, name)(*arguments)
        assert await file.read() == b"pt"
    assert path.read_bytes() == b"kept"


@pytest.mark.parametrize("name", ["pread", "preadv", "pwrite", "pwritev", "readv", "writev"])
async def test_a_closed_file_says_so(tmp_path, name):
    file = await files.open(tmp_path / "file", "w+b")
    await file.close()
    arguments = {"pread": (1, 0), "pwrite": (b"", 0), "readv": ([],), "writev": ([],)}
    with pytest.raises(ValueError, match="closed file"):
        await getattr(file, name)(*arguments.get(name, ([], 0)))
    for call in (file.fsync, file.fdatasync, file.stat, file.flush):
        with pytest.raises(ValueError, match="closed file"):
            await call()
    with pytest.raises(ValueError, match="closed file"):
        async with file:
            pass
    assert file.closed


async def test_files_of_the_kernel_are_read():
    async with files.open("/proc/self/status") as status:
        assert (await status.readline()).startswith("Name:")
    assert b"MemTotal" in await files.read_bytes("/proc/meminfo")
    assert await files.read_bytes("/dev/null") == b""
    assert await files.write_bytes("/dev/null", b"gone") == 4
    async with files.open("/dev/zero", "rb") as zero:
        assert await zero.read(100_000) == bytes(100_000)
    async with files.open("/dev/full", "wb") as full:
        with pytest.raises(OSError) as raised:
            await full.write(b"x")
        assert raised.value.errno == errno.ENOSPC


async def test_a_socket_is_a_file_without_position():
    one, other = socket.socketpair()
    async with (
        files.open(one.detach(), "r+b", 0) as near,
        files.open(other.detach(), "r+b", 0) as far,
    ):
        reading = asyncio.create_task(far.read(100))
        await asyncio.sleep(0)
        assert await near.write(b"over") == 4
        assert await reading == b"over"
        with pytest.raises(OSError):
            await near.pread(4, 0)


async def test_closing_ends_who_waits_for_a_pipe():
    source, target = os.pipe()
    file = await files.open(source, "rb")
    reading = asyncio.create_task(file.read(1))
    while not file._waits:
        await asyncio.sleep(0)
    await file.close()
    with pytest.raises(ValueError, match="closed file"):
        await reading
    with pytest.raises(BrokenPipeError):
        os.write(target, b"x")
    os.close(target)


async def test_a_cancelled_read_of_a_pipe_has_taken_nothing():
    source, target = os.pipe()
    async with files.open(source, "rb") as reader, files.open(target, "wb", 0) as writer:
        for number in range(100):
            reading = asyncio.create_task(reader.read(4))
            for _ in range(number % 7):
                await asyncio.sleep(0)
            await writer.write(b"%04d" % number)
            for _ in range(number % 5):
                await asyncio.sleep(0)
            reading.cancel()
            await asyncio.wait([reading])
            got = await reader.read(4) if reading.cancelled() else reading.result()
            assert got == b"%04d" % number


@pytest.mark.parametrize("buffering", [-1, 0])
@pytest.mark.parametrize("turns", range(4))
async def test_a_cancelled_read_of_a_named_pipe_loses_nothing(tmp_path, buffering, turns):
    os.mkfifo(tmp_path / "fifo")
    target = os.open(tmp_path / "fifo", os.O_RDWR)
    try:
        async with files.open(tmp_path / "fifo", "rb", buffering) as reader:
            got = b""
            for number in range(40):
                reading = asyncio.create_task(reader.read(4))
                await io_passed()
                os.write(target, b"%04d" % number)
                for _ in range(turns):
                    await asyncio.sleep(0)
                reading.cancel()
                await asyncio.wait([reading])
                got += (
                    await asyncio.wait_for(reader.read(4), 5)
                    if reading.cancelled()
                    else reading.result()
                )
            assert got == b"".join(b"%04d" % number for number in range(40))
    finally:
        os.close(target)


async def test_buffers_are_kept_when_a_read_is_cancelled(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(1 << 20))
    async with files.open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        for _ in range(50):
            reading = asyncio.create_task(file.readinto(bytearray(1 << 20)))
            await asyncio.sleep(0)
            reading.cancel()
            await asyncio.wait([reading])
            assert await file.tell() in (0, 1 << 20)
            await file.seek(0)
        assert await file.read() == bytes(1 << 20)


async def test_closing_while_calls_are_in_flight_lets_them_end(tmp_path):
    path = tmp_path / "file"
    file = await files.open(path, "wb")
    parts = [bytes([index]) * 70_000 for index in range(20)]
    writing = [
        asyncio.create_task(file.pwrite(part, index * 70_000)) for index, part in enumerate(parts)
    ]
    await asyncio.sleep(0)
    await file.close()
    assert await asyncio.gather(*writing) == [70_000] * 20
    assert path.read_bytes() == b"".join(parts)


async def test_a_cancelled_close_has_closed(tmp_path):
    file = await files.open(tmp_path / "file", "wb")
    await file.fsync()
    fd = file.fileno()
    closing = asyncio.create_task(file.close())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait([closing])
    while True:
        try:
            os.fstat(fd)
        except OSError:
            break
        await asyncio.sleep(0)


async def test_a_cancelled_open_leaves_no_descriptor(tmp_path):
    for turns in range(6):
        opening = asyncio.create_task(
            files.read_bytes(tmp_path / "none" if turns % 2 else __file__)
        )
        for _ in range(turns):
            await asyncio.sleep(0)
        opening.cancel()
        await asyncio.wait([opening])
        assert opening.cancelled() or opening.exception() or opening.result()


async def test_a_file_that_nobody_closes_warns_and_is_closed(tmp_path):
    file = await files.open(tmp_path / "file", "wb")
    await file.write(b"kept")
    fd = file.fileno()
    with pytest.warns(ResourceWarning, match="unclosed file"):  # noqa: PT031
        del file
        for _ in range(3):  # the loop's last operation held it
            await asyncio.sleep(0)
        gc.collect()
    with pytest.raises(OSError):
        os.fstat(fd)
    assert (tmp_path / "file").read_bytes() == b"kept"


def test_another_loop_is_told_what_to_run(tmp_path):
    async def read() -> None:
        await files.read_bytes(tmp_path / "file")

    with (
        asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner,
        pytest.raises(RuntimeError, match=r"run the program by zcloop\.run"),
    ):
        runner.run(read())


async def test_memory_of_a_region_is_read_past_the_page_cache(tmp_path):
    path = tmp_path / "file"
    data = os.urandom(64 << 10)
    path.write_bytes(data)
    try:
        opened = await files.open(path, "r+b", flags=os.O_DIRECT)
    except OSError as error:
        assert error.errno == errno.EINVAL  # noqa: PT017
        pytest.skip("this file system has no O_DIRECT")
    with Region(1 << 20) as region:
        buffer = region.reserve(8192)
        async with opened as file:
            assert await file.readinto(buffer) == 8192
            assert buffer == data[:8192]
            assert await file.tell() == 8192
            assert await file.preadv([buffer], 4096) == 8192
            assert await file.pwrite(buffer, 0) == 8192
            with pytest.raises(OSError):
                await file.pread(10, 1)
        buffer.release()
    assert path.read_bytes()[:8192] == data[4096:12288]


async def test_a_copy_is_equal_and_never_of_a_file_onto_itself(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    data = os.urandom(3_000_001)
    source.write_bytes(data)
    target.write_bytes(b"longer" * 10**6)
    assert await files.copy(source, target) == len(data)
    assert target.read_bytes() == data
    (tmp_path / "link").hardlink_to(source)
    with pytest.raises(OSError, match="same file"):
        await files.copy(source, tmp_path / "link")
    with pytest.raises(FileNotFoundError):
        await files.copy(tmp_path / "none", tmp_path / "new")
    assert not (tmp_path / "new").exists()
    assert source.read_bytes() == data
