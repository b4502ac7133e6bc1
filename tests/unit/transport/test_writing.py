"""A stream's way down: order, ownership of buffers, half-closing, what is refused."""

import array
import asyncio
import contextlib
import ctypes
import logging
import random

import pytest
from peers import PAIRS, connection, fill, io_passed, payload, receive_all, receive_exactly
from recording import Recorder

pytestmark = pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)


class KeepsOpen(Recorder):
    keep_open = True


async def test_writes_of_all_sizes_arrive_in_order(pair):
    source = random.Random(3)
    sizes = [source.choice([1, 10, 1000, 4095, 4096, 70_000]) for _ in range(300)]
    pieces = [payload(size, number) for number, size in enumerate(sizes)]
    async with connection(Recorder, pair) as (transport, _, peer):
        receiving = asyncio.ensure_future(receive_exactly(peer, sum(sizes)))
        for piece in pieces:
            transport.write(piece)
            if source.random() < 0.2:
                await asyncio.sleep(0)
        assert await receiving == b"".join(pieces)


@pytest.mark.parametrize("count", [63, 64, 65, 1000])
async def test_many_small_writes_of_one_turn_arrive_in_order(pair, count):
    pieces = [b"%d," % number for number in range(count)]
    async with connection(Recorder, pair) as (transport, _, peer):
        for piece in pieces:
            transport.write(piece)
        assert await receive_exactly(peer, len(b"".join(pieces))) == b"".join(pieces)


async def test_writes_of_many_transports_in_one_turn_go_each_to_its_peer(pair):
    async with contextlib.AsyncExitStack() as stack:
        made = [await stack.enter_async_context(connection(Recorder, pair)) for _ in range(100)]
        for turn in range(3):
            for number, (transport, _, _) in enumerate(made):
                for piece in range(turn + 1):
                    transport.write(b"%04d %d " % (number, piece))
            for number, (_, _, peer) in enumerate(made):
                wanted = b"".join(b"%04d %d " % (number, piece) for piece in range(turn + 1))
                assert await receive_exactly(peer, len(wanted)) == wanted


@pytest.mark.parametrize("size", [100, 10_000, 3_000_000])
@pytest.mark.parametrize("kind", [bytearray, memoryview])
async def test_a_mutable_buffer_may_be_changed_after_write_returns(pair, size, kind):
    data = payload(size)
    buffer = bytearray(data)
    async with connection(Recorder, pair) as (transport, _, peer):
        transport.write(buffer if kind is bytearray else memoryview(buffer))
        buffer[:] = bytes(size)
        assert await receive_exactly(peer, size) == data
        transport.write(buffer)
        buffer.clear()  # and no export is left behind


async def test_memoryviews_are_sent_as_their_bytes(pair):
    words = array.array("I", range(2000))
    async with connection(Recorder, pair) as (transport, _, peer):
        for view in (memoryview(words), memoryview(b"0123456789")[3:5], memoryview(b"")):
            transport.write(view)
            assert await receive_exactly(peer, view.nbytes) == view.tobytes()


def unusual_views(size):
    """Of `size` bytes each: not contiguous, of several dimensions, of no native format."""
    data = payload(2 * size)
    words = array.array("I", data)
    return [
        memoryview(data)[::2],
        memoryview(data)[: size - 1 : -1],
        memoryview(words)[::2],
        memoryview(data)[:size].cast("B", [4, size // 4]),
        memoryview((ctypes.c_uint32 * (size // 4)).from_buffer_copy(data)),
    ]


@pytest.mark.zcloop_only  # asyncio sends some of them; of others it drops parts, or the connection
@pytest.mark.parametrize("size", [100, 4096, 70_000])
@pytest.mark.parametrize("is_queued", [False, True])
async def test_views_of_any_shape_are_sent_as_their_bytes(pair, size, is_queued):
    views = unusual_views(size)
    async with connection(Recorder, pair) as (transport, _, peer):
        taken = fill(transport.get_extra_info("socket")._sock) if is_queued else 0
        for view in views:
            transport.write(view)
        transport.writelines(views)
        received = await receive_exactly(peer, taken + 10 * size)
        assert received[taken:] == b"".join(view.tobytes() for view in views) * 2


async def test_writelines_sends_all_pieces_in_order(pair):
    pieces = [payload(size, size) for size in (1, 0, 100, 5000, 300_000, 3)]
    async with connection(Recorder, pair) as (transport, _, peer):
        transport.writelines([pieces[0], bytearray(pieces[1]), memoryview(pieces[2]), *pieces[3:]])
        transport.writelines([])
        transport.writelines(iter([b"generator"]))
        wanted = b"".join(pieces) + b"generator"
        assert await receive_exactly(peer, len(wanted)) == wanted


async def test_what_is_not_bytes_is_a_type_error(pair):
    async with connection(Recorder, pair) as (transport, _, peer):
        for wrong in ("text", 5, None, [b"x"]):
            with pytest.raises(TypeError):
                transport.write(wrong)
        for wrong in ("text", 5):
            with pytest.raises(TypeError):
                transport.writelines([b"x", wrong])
        await io_passed()
        with pytest.raises(BlockingIOError):
            peer.recv(100)


async def test_an_empty_write_sends_nothing(pair):
    async with connection(Recorder, pair) as (transport, _, peer):
        transport.write(b"")
        transport.write(b"x")
        assert await receive_exactly(peer, 1) == b"x"


@pytest.mark.parametrize("size", [0, 100, 5_000_000])
async def test_write_eof_comes_after_what_is_queued_and_reading_goes_on(pair, size):
    data = payload(size)
    async with connection(KeepsOpen, pair) as (transport, protocol, peer):
        assert transport.can_write_eof()
        transport.write(data)
        transport.write_eof()
        transport.write_eof()
        with pytest.raises(RuntimeError, match="after write_eof"):
            transport.write(b"late")
        with pytest.raises(RuntimeError, match="after write_eof"):
            transport.writelines([b"late"])
        assert await receive_all(peer) == data
        peer.send(b"answer")
        assert await protocol.received(6) == b"answer"
        assert not transport.is_closing()


@pytest.mark.parametrize("size", [0, 100, 5_000_000])
async def test_close_sends_what_is_queued_first(pair, size):
    data = payload(size)
    async with connection(Recorder, pair) as (transport, protocol, peer):
        transport.write(data)
        transport.close()
        transport.close()
        assert transport.is_closing()
        assert await receive_all(peer) == data
        assert await protocol.lost() is None
        assert protocol.names.count("connection_lost") == 1


async def test_abort_drops_what_is_queued(pair):
    async with connection(Recorder, pair) as (transport, protocol, peer):
        taken = fill(transport.get_extra_info("socket")._sock)
        transport.write(b"x" * 100_000)
        assert transport.get_write_buffer_size() == 100_000
        transport.abort()
        assert transport.get_write_buffer_size() == 0
        assert await protocol.lost() is None
        assert len(await receive_all(peer)) == taken


async def test_connection_lost_is_never_called_from_within_close_or_abort(pair):
    for end in ("close", "abort"):
        async with connection(Recorder, pair) as (transport, protocol, _):
            getattr(transport, end)()
            assert not protocol.is_lost
            await protocol.lost()


async def test_writing_to_a_lost_connection_is_ignored_and_warned_of_now_and_then(pair, caplog):
    async with connection(Recorder, pair) as (transport, protocol, _):
        transport.abort()
        await protocol.lost()
        with caplog.at_level(logging.WARNING, "asyncio"):
            for _ in range(4):
                transport.write(b"ignored")
            assert caplog.records == []
            transport.write(b"ignored")
            transport.write(b"ignored")
        assert {record.getMessage() for record in caplog.records} == {
            "socket.send() raised exception."
        }
        assert transport.get_write_buffer_size() == 0


async def test_writing_after_close_still_goes_out_while_something_is_queued(pair):
    async with connection(Recorder, pair) as (transport, protocol, peer):
        taken = fill(transport.get_extra_info("socket")._sock)
        transport.write(b"queued")
        transport.close()
        transport.write(b", and this")
        assert (await receive_all(peer))[taken:] == b"queued, and this"
        await protocol.lost()


async def test_small_writes_queue_up_behind_a_full_socket(pair):
    async with connection(Recorder, pair) as (transport, _, peer):
        taken = fill(transport.get_extra_info("socket")._sock)
        wanted = b""
        for number in range(500):
            piece = b"%d," % number
            wanted += piece
            transport.write(piece)
            if number % 50 == 0:
                await asyncio.sleep(0)
        assert transport.get_write_buffer_size() == len(wanted)
        assert (await receive_exactly(peer, taken + len(wanted)))[taken:] == wanted
        await io_passed()
        assert transport.get_write_buffer_size() == 0


async def test_what_was_written_before_an_abort_in_the_same_turn_is_sent(pair):
    async with connection(Recorder, pair) as (transport, _, peer):
        transport.write(b"bye")
        transport.abort()
        assert await receive_all(peer) == b"bye"
