"""BufferedProtocol: its own memory, filled and told."""

import array
import asyncio
import ctypes

import pytest
from peers import PAIRS, connection, io_passed, payload
from recording import BufferedRecorder

pytestmark = pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)


@pytest.mark.parametrize("buffer_size", [1, 7, 4096, 65536, 1_000_000])
async def test_data_arrives_complete_and_in_order_in_any_buffer(pair, buffer_size):
    loop = asyncio.get_running_loop()
    data = payload(3_000 if buffer_size < 10 else 2_000_000)
    async with connection(lambda: BufferedRecorder(buffer_size), pair) as (_, protocol, peer):
        await loop.sock_sendall(peer, data)
        assert await protocol.received(len(data)) == data
        assert max(call[1] for call in protocol.calls[1:]) <= buffer_size


async def test_eof_follows_the_data(pair):
    async with connection(BufferedRecorder, pair) as (_, protocol, peer):
        peer.send(b"last")
        peer.close()
        assert await protocol.lost() is None
        assert protocol.names == [
            "connection_made", "buffer_updated", "eof_received", "connection_lost",
        ]  # fmt: skip


@pytest.mark.parametrize("size", [100, 100_000])
async def test_pausing_inside_buffer_updated_holds_the_rest(pair, size):
    class PausesEachTime(BufferedRecorder):
        def buffer_updated(self, nbytes):
            assert self.transport.is_reading()
            super().buffer_updated(nbytes)
            self.transport.pause_reading()

    loop = asyncio.get_running_loop()
    data = payload(size)
    async with connection(lambda: PausesEachTime(size // 10), pair) as (transport, protocol, peer):
        sending = asyncio.ensure_future(loop.sock_sendall(peer, data))
        while len(protocol.data) < size:
            before = len(protocol.names)
            transport.resume_reading()
            await protocol.until(lambda before=before: len(protocol.names) > before)
            await io_passed()
            assert len(protocol.names) == before + 1
        await sending
        assert protocol.data == data


@pytest.mark.parametrize("size", [100, 2_000_000])
async def test_closing_inside_buffer_updated_ends_the_delivery(pair, size):
    class Closes(BufferedRecorder):
        def buffer_updated(self, nbytes):
            super().buffer_updated(nbytes)
            self.transport.close()

    async with connection(lambda: Closes(10), pair) as (_, protocol, peer):
        peer.send(payload(size))
        assert await protocol.lost() is None
        assert protocol.names.count("buffer_updated") == 1


@pytest.mark.parametrize("size", [100, 2_000_000])
async def test_the_buffer_may_be_resized_once_it_was_filled(pair, size):
    class Resizes(BufferedRecorder):
        def get_buffer(self, sizehint):
            self.buffer = bytearray(65536)
            return self.buffer

        def buffer_updated(self, nbytes):
            del self.buffer[nbytes:]
            self.data += self.buffer
            self.note("buffer_updated", nbytes)

    loop = asyncio.get_running_loop()
    data = payload(size)
    async with connection(Resizes, pair) as (_, protocol, peer):
        sending = asyncio.ensure_future(loop.sock_sendall(peer, data))
        received = await protocol.received(size)
        peer.shutdown(1)
        await asyncio.gather(sending, return_exceptions=True)
        assert received == data


async def test_memoryviews_and_arrays_of_other_types_are_buffers_too(pair):
    words = array.array("I", bytes(4000))
    offered = [
        memoryview(bytearray(100))[10:20], memoryview(words), memoryview(words).cast("B"), words,
        (ctypes.c_char * 100)(), memoryview((ctypes.c_uint16 * 50)()),
    ]  # fmt: skip

    class Offers(BufferedRecorder):
        def get_buffer(self, sizehint):
            return offered[len(self.names) - 1]

        def buffer_updated(self, nbytes):
            buffer = offered[len(self.names) - 1]
            self.data += memoryview(buffer).tobytes()[:nbytes]
            self.note("buffer_updated", nbytes)

    async with connection(Offers, pair) as (_, protocol, peer):
        for number in range(6):
            peer.send(b"0123456789")
            await protocol.received(10 * number + 10)
        assert protocol.data == b"0123456789" * 6


@pytest.mark.parametrize("size", [100, 2_000_000])
@pytest.mark.parametrize("wrong", ["empty", "raises", "no buffer", "read-only", "rows of nothing"])
async def test_a_wrong_get_buffer_is_reported_and_closes(pair, size, wrong, reported):
    answers = {
        "empty": bytearray(), "no buffer": None, "read-only": bytes(10),
        "rows of nothing": (ctypes.c_char * 0 * 4)(),
    }  # fmt: skip

    class Wrong(BufferedRecorder):
        def get_buffer(self, sizehint):
            if size > 100_000 and len(self.data) < 500_000:
                return self.buffer
            if wrong == "raises":
                raise LookupError("no memory")
            return answers[wrong]

    loop = asyncio.get_running_loop()
    async with connection(Wrong, pair) as (_, protocol, peer):
        sending = asyncio.ensure_future(loop.sock_sendall(peer, payload(size)))
        error = await protocol.lost()
        peer.close()
        await asyncio.gather(sending, return_exceptions=True)
    (context,) = reported
    reported.clear()
    assert context["exception"] is error
    if wrong != "read-only":  # which asyncio finds out when it receives
        assert "get_buffer() call failed" in context["message"]
    assert context["protocol"] is protocol


async def test_an_exception_in_buffer_updated_is_reported_and_closes(pair, reported):
    class Fails(BufferedRecorder):
        def buffer_updated(self, nbytes):
            raise LookupError("no")

    async with connection(Fails, pair) as (_, protocol, peer):
        peer.send(b"x")
        assert isinstance(await protocol.lost(), LookupError)
    (context,) = reported
    reported.clear()
    assert "buffer_updated() call failed" in context["message"]
