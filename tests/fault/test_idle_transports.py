"""A transport that waits for room sleeps, whatever its peer has ended or its socket keeps."""

import asyncio
import contextlib

import pytest
from idleness import DATA, Open, States, half_close, keep_errors, narrow_tcp, settled
from peers import connection, gone, io_passed, receive_exactly, reset, unix_pair
from streams import stream_and_peer

pytestmark = pytest.mark.zcloop_only

STATES = States()


def half_closed(ours, peer):
    half_close(peer)


@contextlib.asynccontextmanager
async def writing(pair, prepare=lambda ours, peer: None):
    """transport, protocol, peer: the transport has written more than there is room for."""
    async with connection(Open, pair) as (transport, protocol, peer):
        prepare(transport.get_extra_info("socket"), peer)
        await io_passed()
        transport.write(DATA)
        assert transport.get_write_buffer_size() > 0
        yield transport, protocol, peer


async def all_arrives(transport, peer, before=b""):
    assert await receive_exactly(peer, len(before) + len(DATA)) == before + DATA
    assert transport.get_write_buffer_size() == 0


@STATES.add
async def a_transport_waits_for_room():
    async with writing(narrow_tcp) as (transport, _, peer):
        yield lambda: all_arrives(transport, peer)


@STATES.add
async def a_transport_waits_for_room_of_a_peer_that_half_closed():
    async with writing(narrow_tcp, half_closed) as (transport, protocol, peer):
        assert "eof_received" in protocol.names
        yield lambda: all_arrives(transport, peer)


@STATES.add
async def a_transport_waits_for_room_of_a_unix_peer_that_half_closed():
    async with writing(unix_pair, half_closed) as (transport, _, peer):
        yield lambda: all_arrives(transport, peer)


@STATES.add
async def a_peer_half_closes_while_a_transport_waits_for_room():
    async with writing(narrow_tcp) as (transport, _, peer):
        await settled()
        half_close(peer)
        yield lambda: all_arrives(transport, peer)


@STATES.add
async def a_transport_waits_for_room_of_a_peer_that_half_closes_and_resets():
    async with writing(narrow_tcp, half_closed) as (_, protocol, peer):

        async def it_resets():
            reset(peer)
            assert isinstance(await protocol.lost(), OSError)

        yield it_resets


@STATES.add
async def a_closing_transport_waits_for_room_of_a_peer_that_half_closed():
    async with writing(narrow_tcp, half_closed) as (transport, protocol, peer):
        transport.close()

        async def all_is_sent():
            await all_arrives(transport, peer)
            assert await protocol.lost() is None

        yield all_is_sent


@STATES.add
async def an_aborted_wait_for_room_of_a_peer_that_half_closed():
    async with writing(narrow_tcp, half_closed) as (transport, protocol, peer):
        await settled()
        transport.abort()
        await protocol.lost()
        await gone(transport)

        async def the_peer_hears_of_it():
            with contextlib.suppress(ConnectionResetError):
                while await asyncio.get_running_loop().sock_recv(peer, 1 << 20):
                    pass

        yield the_peer_hears_of_it


@STATES.add
async def a_transport_with_an_error_queue_waits_for_room():
    async with writing(narrow_tcp, keep_errors_of) as (transport, _, peer):
        yield lambda: all_arrives(transport, peer, b"x")


def keep_errors_of(trsock, peer):
    keep_errors(trsock._sock)


@STATES.add
async def a_native_stream_waits_for_room_of_a_peer_that_half_closed():
    async with stream_and_peer() as (_, writer, peer):
        half_close(peer)
        writer.write(bytes(20_000_000))
        drained = asyncio.ensure_future(writer.drain())

        async def it_drains():
            assert not drained.done()
            await receive_exactly(peer, 20_000_000)
            await drained

        yield it_drains


@pytest.mark.parametrize("name", STATES)
async def test_the_turn_counter_stands_still_and_the_wait_ends(name):
    await STATES.check(name)
