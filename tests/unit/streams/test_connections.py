"""Connections of zcloop's streams, over TCP, Unix sockets and TLS, on any loop."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import weakref

import pytest
from peers import connection as connection_to
from peers import gone, io_passed, payload, receive_all, receive_exactly, tcp_pair
from recording import Recorder
from streams import connected, stream_and_peer

import zcloop


async def test_what_is_written_is_read(connection):
    data = payload(300_000)
    async with connected(**connection) as ((reader, writer), (other, answer)):
        writer.write(data[:1000])
        writer.writelines([data[1000:2000], memoryview(data[2000:150_000])])
        writer.write(data[150_000:])
        assert await other.readexactly(len(data)) == data
        await writer.drain()
        answer.write(b"line\n")
        assert await reader.readline() == b"line\n"
        answer.close()
        await answer.wait_closed()
        assert await reader.read() == b""


async def test_drain_does_not_suspend_while_little_is_queued():
    async with stream_and_peer() as (_, writer, _):
        writer.write(b"x")
        with pytest.raises(StopIteration):
            writer.drain().send(None)
        await asyncio.gather(writer.drain(), asyncio.create_task(writer.drain()))
        assert await asyncio.wait_for(writer.drain(), 1) is None


async def test_drain_waits_until_the_queue_is_low():
    async with stream_and_peer() as (_, writer, peer):
        writer.write(bytes(16 << 20))
        draining = [asyncio.create_task(writer.drain()) for _ in range(3)]
        await io_passed()
        assert not any(task.done() for task in draining)
        size = 0
        while not all(task.done() for task in draining):
            size += len(await asyncio.get_running_loop().sock_recv(peer, 1 << 18))
        writer.close()
        assert size + len(await receive_all(peer)) == 16 << 20


async def test_drain_after_the_close_gives_the_loop_a_turn_and_raises():
    async with stream_and_peer() as (_, writer, _):
        writer.close()
        with pytest.raises(ConnectionResetError):
            while True:
                writer.write(b"x")
                await writer.drain()


async def test_the_end_of_the_peer_leaves_writing_open():
    async with connected() as ((reader, writer), (other, answer)):
        assert answer.can_write_eof()
        answer.write_eof()
        assert await reader.read() == b""
        writer.write(b"still here")
        writer.close()
        assert await other.read() == b"still here"


async def test_a_writer_says_what_its_transport_knows():
    async with connected() as ((_, writer), (_, other)):
        assert writer.get_extra_info("peername") == other.get_extra_info("sockname")
        assert writer.get_extra_info("nothing", 7) == 7
        assert "StreamWriter transport=" in repr(writer)
        assert not writer.is_closing()
        writer.note = "attributes may be set"


async def test_encryption_begins_in_the_middle(certificates):
    async with connected() as ((reader, writer), (other, answer)):
        writer.write(b"plain")
        assert await other.readexactly(5) == b"plain"
        async with asyncio.TaskGroup() as group:
            group.create_task(writer.start_tls(certificates.server_context()))
            group.create_task(
                answer.start_tls(certificates.client_context(), server_hostname="localhost")
            )
        data = payload(200_000)
        answer.write(data)
        assert await reader.readexactly(len(data)) == data
        assert answer.get_extra_info("cipher") is not None


async def test_a_writer_that_is_dropped_closes_its_connection_and_warns():
    with tcp_pair() as (one, peer):
        reader, writer = await zcloop.open_connection(sock=one)
        with pytest.warns(ResourceWarning, match="unclosed <StreamWriter"):
            del writer
        assert await receive_all(peer) == b""
        assert await reader.read() == b""


async def test_an_error_of_the_callback_is_reported_and_closes(reported):
    async def fails(reader, writer):
        raise LookupError("told")

    server = await zcloop.start_server(fails, "127.0.0.1", 0)
    async with server:
        reader, writer = await zcloop.open_connection(*server.sockets[0].getsockname())
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
    (context,) = reported
    assert isinstance(context["exception"], LookupError)
    reported.clear()


async def test_a_cancelled_callback_closes_without_a_report():
    async def cancelled(reader, writer):
        asyncio.current_task().cancel()
        await asyncio.sleep(0)

    server = await zcloop.start_server(cancelled, "127.0.0.1", 0)
    async with server:
        reader, writer = await zcloop.open_connection(*server.sockets[0].getsockname())
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_overridden_methods_are_called():
    seen = []

    class Reader(zcloop.StreamReader):
        def feed_data(self, data):
            seen.append(data)
            super().feed_data(data)

    class Protocol(zcloop.StreamReaderProtocol):
        def data_received(self, data):
            super().data_received(data.upper())

    reader = Reader()
    async with connection_to(lambda: Protocol(reader)) as (transport, _, peer):
        peer.send(b"abc")
        assert await reader.read(10) == b"ABC"
        assert seen == [b"ABC"]
        transport.set_protocol(zcloop.StreamReaderProtocol(reader))
        peer.send(b"abc")
        assert await reader.read(10) == b"abc"
        assert seen == [b"ABC", b"abc"]


async def test_streams_are_used_by_tasks_that_start_eagerly():
    if sys.version_info < (3, 12):
        pytest.skip("Python 3.12 has brought eager tasks")
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    async with stream_and_peer() as (reader, _, peer):
        reading = asyncio.create_task(reader.readline())
        peer.send(b"line\nrest")
        assert await reading == b"line\n"
        assert await asyncio.create_task(reader.read(10)) == b"rest"


async def test_debug_mode_changes_nothing(connection):
    asyncio.get_running_loop().set_debug(True)
    async with connected(**connection) as ((reader, _), (_, answer)):
        answer.write(payload(100_000))
        await answer.drain()
        assert await reader.readexactly(100_000) == payload(100_000)
        reading = asyncio.create_task(reader.read(1))
        await asyncio.sleep(0)
        assert "read" in repr(reading)
        answer.write(b"x")
        assert await reading == b"x"


def test_zcloops_streams_work_on_asyncios_own_loop():
    async def main():
        async with connected() as ((reader, writer), (other, answer)):
            writer.write(payload(500_000))
            reading = asyncio.create_task(other.readexactly(500_000))
            await writer.drain()
            assert await reading == payload(500_000)
            answer.write(b"a\nb")
            answer.close()
            assert [line async for line in reader] == [b"a\n", b"b"]

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(main())


async def test_nothing_of_a_lost_connection_waits_for_the_collector():
    gc.disable()
    try:
        with tcp_pair() as (one, peer):
            reader, writer = await zcloop.open_connection(sock=one)
            peer.send(b"data")
            assert await reader.read(4) == b"data"
            writer.close()
            await writer.wait_closed()
            await gone(writer.transport)
            left = [weakref.ref(thing) for thing in (reader, writer, writer._protocol)]
            del reader, writer
            assert [found for found in (each() for each in left) if found] == []
    finally:
        gc.enable()


async def test_a_pipe_is_read_by_a_stream():
    reader = zcloop.StreamReader()
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb", 0) as pipe:
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: zcloop.StreamReaderProtocol(reader), pipe
        )
        os.write(write_end, b"one\ntwo")
        assert await reader.readline() == b"one\n"
        os.close(write_end)
        assert await reader.read() == b"two"
        transport.close()
        await asyncio.sleep(0)


async def test_a_protocol_that_is_exchanged_leaves_the_reader_what_it_has():
    reader, other = zcloop.StreamReader(), Recorder()
    async with connection_to(lambda: zcloop.StreamReaderProtocol(reader)) as (transport, _, peer):
        peer.send(b"first")
        assert await reader.read(3) == b"fir"
        transport.set_protocol(other)
        peer.send(b"second")
        assert await other.received(6) == b"second"
        assert await reader.read(10) == b"st"


async def test_methods_of_the_transport_may_be_replaced():
    async with stream_and_peer() as (_, writer, peer):
        written = []
        writer.transport.write, kept = written.append, writer.transport.write
        writer.write(b"seen")
        assert written == [b"seen"]
        writer.transport.write = kept
        writer.write(b"sent")
        assert await receive_exactly(peer, 4) == b"sent"
