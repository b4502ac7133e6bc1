"""What peers and protocols do wrong, and who is told."""

import asyncio
import contextlib
import logging

import pytest
from peers import connection, fill, io_passed, payload, reset, tcp_pair, unix_pair
from recording import Recorder


async def test_a_reset_by_the_peer_reaches_connection_lost():
    for size in (0, 10, 1_000_000):
        async with connection(Recorder) as (transport, protocol, peer):
            transport.write(payload(size))
            await asyncio.sleep(0)
            reset(peer)
            assert isinstance(await protocol.lost(), ConnectionResetError)
            assert protocol.names[-1] == "connection_lost" and "eof_received" not in protocol.names


@pytest.mark.parametrize("size", [10, 10_000])
async def test_writing_to_a_connection_the_peer_closed_ends_it_with_the_error(size):
    class KeepsOpen(Recorder):
        keep_open = True

    async with connection(KeepsOpen, unix_pair) as (transport, protocol, peer):
        peer.close()
        await protocol.until(lambda: "eof_received" in protocol.names)
        transport.write(bytes(size))
        assert isinstance(await protocol.lost(), BrokenPipeError)


async def test_many_transports_that_fail_in_one_batch_are_each_told():
    class KeepsOpen(Recorder):
        keep_open = True

    async with contextlib.AsyncExitStack() as stack:
        made = [
            await stack.enter_async_context(connection(KeepsOpen, unix_pair)) for _ in range(50)
        ]
        for _, protocol, peer in made:
            peer.close()
            await protocol.until(lambda protocol=protocol: "eof_received" in protocol.names)
        for transport, _, _ in made:
            transport.write(b"small")
        for _, protocol, _ in made:
            assert isinstance(await protocol.lost(), BrokenPipeError)


async def test_a_reset_while_the_queue_is_full_drops_it():
    async with connection(Recorder) as (transport, protocol, peer):
        fill(transport.get_extra_info("socket")._sock)
        transport.write(bytes(1_000_000))
        reset(peer)
        assert isinstance(await protocol.lost(), ConnectionError)
        assert transport.get_write_buffer_size() == 0


async def test_who_waits_for_room_is_not_told_of_any_by_an_error():
    """It would take it for success: drain() returns, and the bytes are lost."""

    class KeepsOpen(Recorder):
        keep_open = True

    async with connection(KeepsOpen, unix_pair) as (transport, protocol, peer):
        transport.write(bytes(1_000_000))
        assert "pause_writing" in protocol.names
        peer.close()
        assert isinstance(await protocol.lost(), ConnectionError)
        await asyncio.sleep(0)
        assert "resume_writing" not in protocol.names


async def test_a_reset_while_reading_is_paused_is_told_after_the_data():
    async with connection(Recorder) as (transport, protocol, peer):
        transport.pause_reading()
        peer.send(b"before")
        reset(peer)
        transport.write(b"answer")
        await io_passed()
        transport.resume_reading()
        assert isinstance(await protocol.lost(), ConnectionError)


@pytest.mark.parametrize("size", [10, 500_000])
async def test_an_exception_in_data_received_is_reported_and_closes(size, reported):
    class Fails(Recorder):
        def data_received(self, data):
            super().data_received(data)
            raise LookupError("data")

    async with connection(Fails, unix_pair) as (transport, protocol, peer):
        peer.send(payload(size))
        error = await protocol.lost()
        assert isinstance(error, LookupError)
        assert protocol.names.count("data_received") == 1
    (context,) = reported
    reported.clear()
    assert context == {
        "message": "Fatal error: protocol.data_received() call failed.",
        "exception": error,
        "transport": transport,
        "protocol": protocol,
    }


async def test_an_exception_in_eof_received_is_reported_and_closes(reported):
    class Fails(Recorder):
        def eof_received(self):
            raise LookupError("eof")

    async with connection(Fails, unix_pair) as (_, protocol, peer):
        peer.close()
        error = await protocol.lost()
    (context,) = reported
    reported.clear()
    assert context["exception"] is error and isinstance(error, LookupError)
    assert context["message"] == "Fatal error: protocol.eof_received() call failed."


async def test_an_exception_in_connection_lost_is_reported_and_frees_everything(reported):
    class Fails(Recorder):
        def connection_lost(self, exc):
            super().connection_lost(exc)
            raise LookupError("lost")

    async with connection(Fails, unix_pair) as (transport, protocol, _):
        transport.close()
        await protocol.lost()
        await asyncio.sleep(0)
    (context,) = reported
    reported.clear()
    assert isinstance(context["exception"], LookupError)


@pytest.mark.parametrize("served", [False, True])
async def test_an_exception_in_connection_made_is_reported_and_reading_goes_on(served, reported):
    class Fails(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            protocols.append(self)
            raise LookupError("made")

    protocols = []
    loop = asyncio.get_running_loop()
    if served:
        async with await loop.create_server(Fails, "127.0.0.1", 0) as server:
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"data")
            while not protocols:
                await asyncio.sleep(0)
            assert await protocols[0].received(4) == b"data"
            writer.close()
            await writer.wait_closed()
            await protocols[0].lost()
    else:
        async with connection(Fails, unix_pair) as (_, protocol, peer):
            peer.send(b"data")
            assert await protocol.received(4) == b"data"
    (context,) = reported
    reported.clear()
    assert isinstance(context["exception"], LookupError)


async def test_network_errors_are_not_reported_but_logged_in_debug(caplog, reported):
    loop = asyncio.get_running_loop()
    for debug in (False, True):
        caplog.clear()
        loop.set_debug(debug)
        with caplog.at_level(logging.DEBUG, "asyncio"):
            async with connection(Recorder) as (_, protocol, peer):
                reset(peer)
                await protocol.lost()
        # A reset is everyday business even in debug mode: asyncio logs it, no more.
        assert reported == []


async def test_a_transport_whose_peer_is_gone_ends_on_close():
    for pair in (tcp_pair, unix_pair):
        async with connection(Recorder, pair) as (transport, protocol, peer):
            fill(transport.get_extra_info("socket")._sock)
            transport.write(bytes(100_000))
            transport.close()
            peer.close()
            await protocol.lost()
