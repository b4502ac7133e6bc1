"""What goes wrong with a pipe or its file ends one transport, is reported, and nothing more."""

import asyncio
import contextlib
import errno
import os

import pytest
from pipe_ends import reading_pipe, writing_pipe
from recording import Recorder
from waits import until


class BadFile:
    """A file over an fd, whose close() closes it and then fails."""

    def __init__(self, fd):
        self.fd = fd
        self.closes = 0

    def fileno(self):
        return self.fd

    def close(self):
        self.closes += 1
        os.close(self.fd)
        raise OSError(errno.EIO, "written back in vain")


def is_bad_fd(error):
    return isinstance(error, OSError) and error.errno == errno.EBADF


def numbers(reported):
    """The errno of each exception that was reported."""
    found = [context["exception"].errno for context in reported]
    reported.clear()
    return found


@contextlib.contextmanager
def pipe_end(is_reading):
    """The fd of one end, which the block closes, and `connect` for it."""
    loop = asyncio.get_running_loop()
    ours, other = os.pipe() if is_reading else os.pipe()[::-1]
    try:
        yield ours, loop.connect_read_pipe if is_reading else loop.connect_write_pipe
    finally:
        os.close(other)


@pytest.mark.zcloop_only  # asyncio's warns besides that it is not closed, and closes it again
@pytest.mark.parametrize("is_reading", [True, False])
async def test_a_file_that_fails_to_close_is_reported_and_the_loop_goes_on(is_reading, reported):
    with pipe_end(is_reading) as (fd, connect):
        file = BadFile(fd)
        transport, protocol = await connect(Recorder, file)
        transport.close()
        assert await protocol.lost() is None
        await until(lambda: reported)
    assert numbers(reported) == [errno.EIO]
    assert file.closes == 1 and "Transport closed" in repr(transport)


@pytest.mark.zcloop_only  # asyncio's resume_reading() raises, and the transport stays
async def test_an_fd_closed_by_its_number_ends_the_reading(reported):
    with pipe_end(True) as (fd, connect):
        transport, protocol = await connect(Recorder, os.fdopen(fd, "rb", 0))
        transport.pause_reading()
        await asyncio.sleep(0)
        os.close(fd)
        transport.resume_reading()
        assert is_bad_fd(await protocol.lost())
        await until(lambda: len(reported) == 2)  # the read, and the close of the file
    assert reported[0]["message"] == "Fatal read error on pipe transport"
    assert numbers(reported) == [errno.EBADF] * 2


@pytest.mark.zcloop_only  # asyncio's never hears of anything again
async def test_an_fd_closed_by_its_number_ends_the_writing(reported):
    class Closing(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            os.close(transport.get_extra_info("pipe").fileno())

    with pipe_end(False) as (fd, connect):
        _, protocol = await connect(Closing, os.fdopen(fd, "wb", 0))
        assert is_bad_fd(await protocol.lost())
        await until(lambda: reported)
    assert numbers(reported) == [errno.EBADF]


@pytest.mark.zcloop_only  # asyncio's is closing for ever
async def test_a_protocol_without_eof_received_is_told_of_the_loss(reported):
    class Least(asyncio.BaseProtocol):
        error = "not lost"

        def connection_lost(self, error):
            self.error = error

    protocol = Least()
    async with reading_pipe(protocol) as (_, writer):
        writer.close()
        await until(lambda: protocol.error is None)
    assert [type(context["exception"]) for context in reported] == [AttributeError]
    reported.clear()


async def test_an_exception_of_eof_received_is_reported_and_it_is_closed(reported):
    class Failing(Recorder):
        def eof_received(self):
            raise ZeroDivisionError

    protocol = Failing()
    async with reading_pipe(protocol) as (_, writer):
        writer.close()
        assert await protocol.lost() is None
    assert [type(context["exception"]) for context in reported] == [ZeroDivisionError]
    reported.clear()


async def test_only_bytes_can_be_written_to_one_that_is_closing(caplog):
    async with writing_pipe(Recorder()) as (transport, _):
        transport.abort()
        for wrong in ("text", 1, None, [1]):
            with pytest.raises((AssertionError, TypeError)):
                transport.write(wrong)
        with pytest.raises(TypeError):
            transport.writelines(["text"])
        for _ in range(10):
            transport.write(b"")
            transport.writelines([])
    assert caplog.messages == []


async def test_a_reader_that_goes_while_the_last_bytes_are_queued_is_an_error():
    protocol = Recorder()
    async with writing_pipe(protocol) as (transport, reader):
        transport.write(bytes(200_000))
        transport.close()
        reader.close()
        assert isinstance(await protocol.lost(), BrokenPipeError)
        assert transport.get_write_buffer_size() == 0
