"""ZeroCopyProtocol over connect_read_pipe, and views written by connect_write_pipe."""

import asyncio
import contextlib
import os
import threading

import pytest
from lending import LeaseRecorder
from peers import io_passed, payload, unix_pair
from recording import Recorder

import zcloop

pytestmark = pytest.mark.zcloop_only


@contextlib.asynccontextmanager
async def read_pipe(protocol):
    """The transport of the reading end, and the fd of the writing end."""
    loop = asyncio.get_running_loop()
    read_fd, write_fd = os.pipe2(os.O_NONBLOCK)
    transport, _ = await loop.connect_read_pipe(lambda: protocol, os.fdopen(read_fd, "rb", 0))
    with os.fdopen(write_fd, "wb", 0) as writer:
        try:
            yield transport, writer
        finally:
            transport.close()
            await protocol.lost()


async def test_what_comes_through_a_pipe_is_lent_and_not_copied():
    data = payload(50_000)
    protocol = LeaseRecorder(keeps=True)
    with zcloop.Region(1 << 20) as region:
        async with read_pipe(protocol) as (transport, writer):
            transport.associate(region)
            transport.set_lease_limits(copybreak=0)
            writer.write(data)
            assert await protocol.received(len(data)) == data
            figures = transport.lease_statistics()
            assert (figures["lent_bytes"], figures["copied_bytes"]) == (len(data), 0)
            assert {one["owner"] for one in region.leases()} == {"LeaseRecorder"}
        assert b"".join(protocol.views) == data, "the views outlive their transport"
        protocol.release()
        assert region.free_bytes == region.size


async def test_a_small_message_is_copied_and_its_block_is_free():
    protocol = LeaseRecorder(keeps=True)
    async with read_pipe(protocol) as (transport, writer):
        writer.write(b"small")
        await protocol.received(5)
        assert [bytes(view) for view in protocol.views] == [b"small"]
        figures = transport.lease_statistics()
        assert (figures["copied_bytes"], figures["leases"]) == (5, 0)


async def test_the_end_of_file_follows_the_data():
    protocol = LeaseRecorder()
    async with read_pipe(protocol) as (_, writer):
        writer.write(b"x")
        writer.close()
        assert await protocol.lost() is None
    assert protocol.names[1:] == ["buffer_received", "eof_received", "connection_lost"]


async def test_over_its_quota_it_is_not_read_from_until_leases_are_back():
    """Also when the last of them comes back in another thread, and reading was paused besides."""
    protocol = LeaseRecorder(keeps=True)
    async with read_pipe(protocol) as (transport, writer):
        transport.set_lease_limits(copybreak=0, quota=8192)
        writer.write(bytes(20_000))
        await protocol.received(20_000)
        writer.write(b"more")
        transport.pause_reading()
        transport.resume_reading()
        await io_passed()
        assert len(protocol.data) == 20_000
        thread = threading.Thread(target=protocol.release)
        thread.start()
        assert len(await protocol.received(20_004)) == 20_004
        thread.join()
        protocol.release()


async def test_leases_that_come_back_do_not_end_a_pause():
    protocol = LeaseRecorder(keeps=True)
    async with read_pipe(protocol) as (transport, writer):
        transport.set_lease_limits(copybreak=0, quota=8192)
        writer.write(bytes(20_000))
        await protocol.received(20_000)
        transport.pause_reading()
        writer.write(b"more")
        protocol.release()
        await io_passed()
        assert len(protocol.data) == 20_000
        transport.resume_reading()
        await protocol.received(20_004)
        protocol.release()


async def test_a_higher_quota_ends_the_wait_for_leases():
    protocol = LeaseRecorder(keeps=True)
    async with read_pipe(protocol) as (transport, writer):
        transport.set_lease_limits(copybreak=0, quota=8192)
        writer.write(bytes(20_000))
        await protocol.received(20_000)
        writer.write(b"more")
        await io_passed()
        assert len(protocol.data) == 20_000
        transport.set_lease_limits(quota=1 << 20)
        await protocol.received(20_004)
        protocol.release()


async def test_what_another_protocol_keeps_does_not_stop_the_next():
    protocol, following = LeaseRecorder(keeps=True), Recorder()
    async with read_pipe(protocol) as (transport, writer):
        transport.set_lease_limits(copybreak=0, quota=8192)
        writer.write(bytes(20_000))
        await protocol.received(20_000)
        writer.write(b"more")
        await io_passed()
        transport.set_protocol(following)
        assert await following.received(4) == b"more"
        transport.set_protocol(protocol)
        protocol.release()


def test_leases_may_come_back_when_transport_and_loop_are_gone(loop_factory):
    protocol = LeaseRecorder(keeps=True)

    async def hoard():
        async with read_pipe(protocol) as (transport, writer):
            transport.set_lease_limits(copybreak=0, quota=8192)
            writer.write(bytes(20_000))
            await protocol.received(20_000)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(hoard())
    assert protocol.views
    protocol.release()


async def test_another_protocol_gets_bytes_and_the_first_again_views():
    protocol, plain = LeaseRecorder(), Recorder()
    async with read_pipe(protocol) as (transport, writer):
        transport.set_protocol(plain)
        assert transport.get_protocol() is plain
        writer.write(b"bytes")
        assert await plain.received(5) == b"bytes"
        transport.set_protocol(protocol)
        writer.write(b"view")
        assert await protocol.received(4) == b"view"


async def test_a_view_is_written_in_place_and_may_be_released_while_it_is_queued():
    loop = asyncio.get_running_loop()
    data = payload(300_000)
    with zcloop.Region(1 << 20) as region:
        read_fd, write_fd = os.pipe()
        reader, writer = Recorder(), Recorder()
        writing, _ = await loop.connect_write_pipe(lambda: writer, os.fdopen(write_fd, "wb", 0))
        view = region.reserve(len(data))
        view[:] = data
        writing.write(view)
        assert writing.get_write_buffer_size() > 0, "more than a pipe holds"
        view.release()
        with region.reserve(len(data)) as other:
            other[:] = bytes(len(data))  # the memory is another's now
        await loop.connect_read_pipe(lambda: reader, os.fdopen(read_fd, "rb", 0))
        assert await reader.received(len(data)) == data
        writing.close()
        await reader.lost()


async def test_a_pipe_is_forwarded_to_another():
    class Forwarding(LeaseRecorder):
        def buffer_received(self, view):
            with view:
                self.target.write(view)

    loop = asyncio.get_running_loop()
    data = payload(60_000)
    protocol, reader, writer = Forwarding(), Recorder(), Recorder()
    read_fd, write_fd = os.pipe()
    protocol.target, _ = await loop.connect_write_pipe(lambda: writer, os.fdopen(write_fd, "wb", 0))
    await loop.connect_read_pipe(lambda: reader, os.fdopen(read_fd, "rb", 0))
    async with read_pipe(protocol) as (_, sender):
        sender.write(data)
        assert await reader.received(len(data)) == data
    protocol.target.close()
    await reader.lost()


async def test_an_error_of_the_pipe_closes_it_and_gives_its_block_back():
    loop = asyncio.get_running_loop()
    protocol = LeaseRecorder()
    with zcloop.Region(1 << 20) as region:
        master, slave = os.openpty()
        transport, _ = await loop.connect_read_pipe(lambda: protocol, os.fdopen(master, "rb", 0))
        transport.associate(region)
        os.close(slave)
        assert isinstance(await protocol.lost(), OSError)
        assert region.free_bytes == region.size


async def test_sockets_are_pipes_too():
    loop = asyncio.get_running_loop()
    with unix_pair() as (one, other):
        transport, protocol = await loop.connect_read_pipe(LeaseRecorder, one)
        other.send(b"x")
        assert await protocol.received(1) == b"x"
        transport.close()
        await protocol.lost()
