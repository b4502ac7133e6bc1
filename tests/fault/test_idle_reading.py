"""A transport that waits for data, or is not to read, sleeps."""

import asyncio
import contextlib
import socket

import pytest
from idleness import DATA, Open, States, half_close, keep_errors, under_way
from lending import LeaseRecorder
from peers import connection, io_passed, receive_exactly, reset
from recording import Recorder

pytestmark = pytest.mark.zcloop_only

STATES = States()


@STATES.add
async def a_transport_waits_for_data():
    async with connection(Recorder) as (_, protocol, peer):

        async def it_comes():
            peer.send(b"x")
            assert await protocol.received(1) == b"x"

        yield it_comes


@STATES.add
async def a_transport_waits_for_data_after_a_flood():
    """It reads by polls then, not by receives that wait."""
    async with connection(Recorder) as (_, protocol, peer):
        await asyncio.get_running_loop().sock_sendall(peer, DATA)
        await protocol.received(len(DATA))

        async def more_comes():
            peer.send(b"x")
            assert await protocol.received(len(DATA) + 1) == DATA + b"x"

        yield more_comes


@contextlib.asynccontextmanager
async def reading_with_errors(size):
    async with connection(Recorder) as (transport, protocol, peer):
        await asyncio.get_running_loop().sock_sendall(peer, DATA[:size])
        await protocol.received(size)
        keep_errors(transport.get_extra_info("socket")._sock)

        async def more_comes():
            peer.send(b"x")
            assert await protocol.received(size + 1) == DATA[:size] + b"x"

        yield more_comes


@STATES.add
async def a_transport_with_an_error_queue_waits_for_data():
    async with reading_with_errors(1) as ends:
        yield ends


@STATES.add
async def a_transport_with_an_error_queue_waits_for_data_after_a_flood():
    async with reading_with_errors(len(DATA)) as ends:
        yield ends


@STATES.add
async def a_transport_with_urgent_data_waits_for_data():
    async with connection(Recorder) as (_, protocol, peer):
        peer.send(b"!", socket.MSG_OOB)

        async def it_comes():
            peer.send(b"x")
            assert await protocol.received(1) == b"x"

        yield it_comes


@contextlib.asynccontextmanager
async def paused(prepare):
    async with connection(Open) as (transport, protocol, peer):
        await io_passed()
        transport.pause_reading()
        await io_passed()
        prepare(peer)
        yield transport, protocol


@STATES.add
async def a_paused_transport_has_data():
    async with paused(lambda peer: peer.send(b"x")) as (transport, protocol):

        async def it_is_delivered():
            assert protocol.data == b""
            transport.resume_reading()
            assert await protocol.received(1) == b"x"

        yield it_is_delivered


@STATES.add
async def a_paused_transport_has_the_end_of_file():
    async with paused(half_close) as (transport, protocol):

        async def it_is_told():
            assert "eof_received" not in protocol.names
            transport.resume_reading()
            await protocol.until(lambda: "eof_received" in protocol.names)

        yield it_is_told


@STATES.add
async def a_paused_transport_has_a_reset():
    async with paused(reset) as (transport, protocol):

        async def it_is_told():
            transport.resume_reading()
            assert isinstance(await protocol.lost(), ConnectionResetError)

        yield it_is_told


@STATES.add
async def a_transport_stays_open_after_the_end_of_file():
    async with connection(Open) as (transport, protocol, peer):
        half_close(peer)
        await protocol.until(lambda: "eof_received" in protocol.names)

        async def it_can_write():
            transport.write(b"x")
            assert await receive_exactly(peer, 1) == b"x"

        yield it_can_write


@STATES.add
async def a_transport_stays_open_after_both_ends_of_file():
    async with connection(Open) as (transport, protocol, peer):
        half_close(peer)
        await protocol.until(lambda: "eof_received" in protocol.names)
        transport.write_eof()
        await io_passed()

        async def it_can_be_closed():
            transport.close()
            assert await protocol.lost() is None

        yield it_can_be_closed


@STATES.add
async def a_protocol_that_holds_its_quota():
    async with connection(lambda: LeaseRecorder(True, quota=200_000)) as (_, protocol, peer):
        loop = asyncio.get_running_loop()
        async with under_way(loop.sock_sendall, peer, DATA) as sending:
            await protocol.received(200_000)

            async def it_gets_the_rest():
                assert len(protocol.data) < len(DATA)
                while len(protocol.data) < len(DATA):
                    protocol.release()
                    await asyncio.sleep(0)
                await sending
                protocol.release()
                assert protocol.data == DATA

            yield it_gets_the_rest


@pytest.mark.parametrize("name", STATES)
async def test_the_turn_counter_stands_still_and_the_wait_ends(name):
    await STATES.check(name)
