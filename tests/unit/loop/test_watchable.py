"""What add_reader and add_writer take, and what they refuse."""

import asyncio
import ctypes
import os
import resource
import select
import time

import pytest
from peers import io_passed, unix_pair
from recording import Recorder


@pytest.fixture
def pair():
    with unix_pair() as pair:
        yield pair


async def test_pipes_eventfds_and_ptys_can_be_watched():
    loop = asyncio.get_running_loop()
    read, write = os.pipe()
    master, slave = os.openpty()
    event = os.eventfd(0)
    try:
        for readable, writable in ((read, write), (master, slave), (event, event)):
            seen = loop.create_future()
            loop.add_reader(readable, lambda seen=seen: seen.done() or seen.set_result(None))
            await io_passed()
            assert not seen.done()
            os.write(writable, bytes([1, 0, 0, 0, 0, 0, 0, 0]))
            await seen
            loop.remove_reader(readable)
    finally:
        for fd in (read, write, master, slave, event):
            os.close(fd)


@pytest.mark.parametrize("kind", ["file", "directory"])
async def test_regular_files_are_refused(tmp_path, kind):
    loop = asyncio.get_running_loop()
    path = tmp_path / "file"
    path.write_bytes(b"x")
    fd = os.open(path if kind == "file" else tmp_path, os.O_RDONLY)
    try:
        for add in (loop.add_reader, loop.add_writer):
            with pytest.raises(PermissionError):
                add(fd, print)
        assert loop.remove_reader(fd) is False
    finally:
        os.close(fd)


DEVICES = ("null", "zero", "full", "random", "urandom", "ptmx", "kmsg")
OTHERS = ("/proc/mounts", "/proc/self/status", "/proc/self/mem", "/proc/stat")


def is_taken_by_epoll(fd):
    with select.epoll() as epoll:
        try:
            epoll.register(fd, select.EPOLLIN)
        except PermissionError:
            return False
        return True


@pytest.mark.parametrize("path", [*(f"/dev/{name}" for name in DEVICES), *OTHERS])
async def test_of_devices_and_proc_files_those_that_epoll_takes(path):
    loop = asyncio.get_running_loop()
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        pytest.skip(f"this machine has no {path}: {error}")
    try:
        for add, remove in (
            (loop.add_reader, loop.remove_reader),
            (loop.add_writer, loop.remove_writer),
        ):
            if is_taken_by_epoll(fd):
                add(fd, int)
                assert remove(fd) is True
            else:
                with pytest.raises(PermissionError):
                    add(fd, int)
                assert remove(fd) is False
    finally:
        os.close(fd)


async def test_inotify_signalfd_timerfd_and_the_like_can_be_watched():
    loop = asyncio.get_running_loop()
    library = ctypes.CDLL(None, use_errno=True)
    fds = [
        library.inotify_init1(os.O_CLOEXEC),
        library.timerfd_create(time.CLOCK_MONOTONIC, os.O_CLOEXEC),
        library.signalfd(-1, ctypes.create_string_buffer(128), os.O_CLOEXEC),
        os.pidfd_open(os.getpid()),
        os.eventfd(0, os.EFD_CLOEXEC),
    ]
    try:
        for fd in fds:
            assert is_taken_by_epoll(fd)
            loop.add_reader(fd, fds.append, None)
        await io_passed()
        assert None not in fds
        for fd in fds:
            assert loop.remove_reader(fd) is True
    finally:
        for fd in fds:
            os.close(fd)


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero"])
def test_a_device_without_readiness_is_refused_and_leaves_no_descriptor(loop, path):
    with open(path, "rb", 0) as device:
        before = os.listdir("/proc/self/fd")
        for _ in range(10):
            with pytest.raises(PermissionError):
                loop.add_reader(device, print)
        assert os.listdir("/proc/self/fd") == before


async def test_a_file_is_refused_and_an_eventfd_taken_when_no_descriptor_is_left():
    loop = asyncio.get_running_loop()
    event = os.eventfd(0)
    file = os.open("/proc/self/status", os.O_RDONLY)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        with pytest.raises(PermissionError):
            loop.add_reader(file, print)
        loop.add_reader(event, print)
        assert loop.remove_reader(event) is True
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        os.close(event)
        os.close(file)


async def test_what_is_no_descriptor_is_refused():
    loop = asyncio.get_running_loop()
    for wrong in (-1, "file", object(), 1.5, None):
        with pytest.raises(ValueError):
            loop.add_reader(wrong, print)
    closed = os.dup(0)
    os.close(closed)
    with pytest.raises(OSError, match="Bad file descriptor"):
        loop.add_reader(closed, print)
    assert loop.remove_reader(closed) is False


async def test_a_transports_socket_is_refused(pair):
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(Recorder, sock=pair[0])
    for call in (loop.add_reader, loop.add_writer, loop.remove_reader, loop.remove_writer):
        arguments = (print,) if "add" in call.__name__ else ()
        with pytest.raises(RuntimeError, match="is used by transport"):
            call(pair[0], *arguments)
    transport.abort()
    await transport.get_protocol().lost()
