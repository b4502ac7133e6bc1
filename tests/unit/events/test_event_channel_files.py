"""What a file is asked for through a channel: aio_read, aio_write, and beyond."""

import array
import errno
import os
import select

import pytest
from channels import channel_of, next_of, take
from peers import payload, unix_pair

import zcloop
from zcloop import requests

pytestmark = pytest.mark.zcloop_only

IOPRIO_CLASS_IDLE, IOPRIO_CLASS_BEST_EFFORT = 3 << 13, 2 << 13


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    return path


@pytest.fixture
def file(path):
    with path.open("r+b", buffering=0) as file:
        yield file


def test_reads_and_writes_at_offsets(file, path):
    with channel_of() as channel:
        buffer = bytearray(3)
        channel.write(file, b"abc", 4)
        assert next_of(channel).result == 3
        channel.read(file, buffer, 3)
        assert next_of(channel).result == 3
        assert buffer == b"3ab"
        assert path.read_bytes() == b"0123abc789"
        assert file.tell() == 0


def test_without_an_offset_the_files_position_moves(file):
    with channel_of() as channel:
        for expected in (b"0123", b"4567", b"89"):
            buffer = bytearray(4)
            channel.read(file, buffer)
            assert next_of(channel).result == len(expected)
            assert buffer[: len(expected)] == expected
        channel.read(file, bytearray(4))
        assert next_of(channel).result == 0


def test_pieces(file, path):
    with channel_of() as channel:
        channel.writev(file, [b"ab", array.array("B", b"cd"), memoryview(b"ef")], 2)
        assert next_of(channel).result == 6
        buffers = bytearray(4), bytearray(10)
        channel.readv(file, buffers, 0)
        assert next_of(channel).result == 10
        assert buffers == (bytearray(b"01ab"), bytearray(b"cdef89\0\0\0\0"))


def test_open_statx_and_close(path):
    with channel_of() as channel:
        channel.open(path, os.O_RDWR)
        fd = next_of(channel).check()
        assert not os.get_inheritable(fd)
        for source in (path, os.fspath(path), fd):
            channel.statx(source)
            event = next_of(channel)
            assert (event.type, event.source) == ("statx", source)
            assert event.result == os.stat(path)
            assert event.result.st_mtime_ns == os.stat(path).st_mtime_ns
            assert event.result.st_blksize == os.stat(path).st_blksize
        channel.close_fd(fd)
        assert next_of(channel).result == 0
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(fd)


def test_open_makes_files_in_a_directory(tmp_path):
    with channel_of() as channel:
        directory = os.open(tmp_path, os.O_DIRECTORY)
        channel.open("new", os.O_CREAT | os.O_WRONLY, 0o640, dir_fd=directory)
        os.close(next_of(channel).check())
        channel.statx("new", dir_fd=directory)
        assert next_of(channel).result.st_mode & 0o777 == 0o640 & ~current_umask()
        os.close(directory)
        channel.open(tmp_path / "none")
        with pytest.raises(FileNotFoundError):
            next_of(channel).check()


def current_umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("data_only", [False, True])
def test_fsync(file, data_only):
    with channel_of() as channel:
        channel.fsync(file, data_only)
        assert next_of(channel).result == 0


def test_splice_moves_what_a_pipe_holds(file, path):
    reader, writer = os.pipe()
    with channel_of() as channel:
        channel.splice(file, writer, 6, source_offset=2)
        assert next_of(channel).result == 6
        channel.splice(reader, file, 6, target_offset=0)
        assert next_of(channel).result == 6
        os.close(reader)
        os.close(writer)
    assert path.read_bytes() == b"2345676789"


def test_poll_says_what_for():
    with channel_of() as channel, unix_pair() as (ours, peer):
        channel.poll(ours, select.POLLOUT)
        assert next_of(channel).result == select.POLLOUT
        channel.poll(ours, select.POLLIN)
        assert channel.next_event() is None
        peer.send(b"x")
        assert next_of(channel).result & select.POLLIN


@pytest.mark.parametrize("kind", ["read", "write"])
def test_priorities_are_the_kernels(file, kind):
    with channel_of() as channel:
        ask = getattr(channel, kind)
        ask(file, bytearray(1), 0, priority=IOPRIO_CLASS_BEST_EFFORT | 7)
        assert next_of(channel).result == 1
        ask(file, bytearray(1), 0, priority=IOPRIO_CLASS_IDLE)
        assert next_of(channel).result == 1
        ask(file, bytearray(1), 0, priority=7 << 13)  # no such class
        assert next_of(channel).errno == errno.EINVAL


@pytest.mark.needs("registered_buffers")
def test_memory_of_a_region_is_read_into_and_written_from_registered(file, path):
    data = payload(65536)
    with (
        channel_of() as channel,
        zcloop.Region(1 << 20) as region,
        region.reserve(len(data)) as view,
    ):
        view[:] = data
        channel.write(file, view[:40000], 0)
        channel.write(file, view[40000:], 40000)
        assert sum(event.check() for event in take(channel, 2)) == len(data)
        assert channel.statistics()["pinned"] == region.size
        assert path.read_bytes() == data
        view[:] = bytes(len(data))
        channel.submit([requests.read(file, view[1000:], 1000), requests.read(file, view, 0)])
        assert {event.check() for event in take(channel, 2)} == {len(data), len(data) - 1000}
        assert view == data


def test_memory_of_an_unpinned_region_is_used_as_any_other(file):
    with channel_of() as channel, zcloop.Region(1 << 20, pinned=False) as region:
        with region.reserve(10) as view:
            channel.read(file, view, 0)
            assert next_of(channel).result == 10
            assert view == b"0123456789"
        assert channel.statistics()["pinned"] == 0


def test_a_region_cannot_be_closed_under_a_request():
    with channel_of() as channel, unix_pair() as (ours, peer):
        region = zcloop.Region(1 << 20)
        channel.read(ours, region.reserve(10))
        with pytest.raises(BufferError, match="by a reservation"):
            region.close()
        peer.send(b"x")
        assert next_of(channel).result == 1
        region.close()
