"""A BufferedProtocol over TLS: the memory that it offers is filled, whatever kind that is."""

import array
import asyncio
import ctypes
import mmap

import pytest
from encryption import encrypted
from peers import io_passed, payload
from recording import BufferedRecorder, Recorder

pytestmark = pytest.mark.zcloop_only  # asyncio fills copies of some, and refuses others

SIZE = 60_000
WRONG_VIEWS = {
    "read-only": bytes(10),
    "not contiguous": memoryview(bytearray(20))[::2],
    "empty": bytearray(),
    "rows of nothing": (ctypes.c_char * 0 * 4)(),
    "no buffer": None,
}


class Offers(BufferedRecorder):
    """The same object at each call, whatever its items are."""

    def __init__(self, buffer):
        super().__init__(0)
        self.buffer = buffer

    def buffer_updated(self, nbytes):
        self.data += memoryview(self.buffer).tobytes()[:nbytes]
        self.note("buffer_updated", nbytes)


BUFFERS = {
    "bytearray": lambda: bytearray(SIZE),
    "array of bytes": lambda: array.array("B", bytes(SIZE)),
    "array of words": lambda: array.array("I", bytes(SIZE)),
    "mmap": lambda: mmap.mmap(-1, SIZE),
    "ctypes": lambda: (ctypes.c_char * SIZE)(),
    "words of ctypes": lambda: (ctypes.c_uint16 * (SIZE // 2))(),
    "view": lambda: memoryview(bytearray(SIZE)),
    "view of words": lambda: memoryview(array.array("I", bytes(SIZE))),
    "view of an mmap": lambda: memoryview(mmap.mmap(-1, SIZE)),
    "view of ctypes": lambda: memoryview((ctypes.c_uint32 * (SIZE // 4))()),
    "view in rows": lambda: memoryview(bytearray(SIZE)).cast("B", [4, SIZE // 4]),
    "part of a view": lambda: memoryview(bytearray(SIZE + 100))[100:],
}


@pytest.mark.parametrize("kind", BUFFERS)
async def test_any_writable_memory_is_filled_by_several_records(certificates, kind):
    data = payload(3 * SIZE)
    async with encrypted(certificates, lambda: Offers(BUFFERS[kind]())) as (protocol, peer):
        for start in range(0, len(data), 1000):
            peer.transport.write(data[start : start + 1000])
        assert await protocol.received(len(data)) == data
        assert max(call[1] for call in protocol.calls[1:]) > 1000, "one record at a time"


@pytest.mark.parametrize("size", [1, 7, 1000, 16_384, 16_385])
async def test_a_buffer_smaller_than_what_came_is_offered_again(certificates, size):
    data = payload(3_000 if size < 10 else 300_000)
    async with encrypted(certificates, lambda: BufferedRecorder(size)) as (protocol, peer):
        peer.transport.write(data)
        assert await protocol.received(len(data)) == data
        assert max(call[1] for call in protocol.calls[1:]) <= size


async def test_the_buffer_may_be_resized_once_it_was_filled(certificates):
    class Resizes(BufferedRecorder):
        def get_buffer(self, sizehint):
            self.buffer = bytearray(1 << 16)
            return self.buffer

        def buffer_updated(self, nbytes):
            del self.buffer[nbytes:]
            self.data += self.buffer
            self.note("buffer_updated", nbytes)

    data = payload(300_000)
    async with encrypted(certificates, Resizes) as (protocol, peer):
        peer.transport.write(data)
        assert await protocol.received(len(data)) == data


async def test_pausing_inside_buffer_updated_holds_the_rest(certificates):
    class PausesEachTime(BufferedRecorder):
        def buffer_updated(self, nbytes):
            super().buffer_updated(nbytes)
            self.transport.pause_reading()

    data = payload(50_000)
    async with encrypted(certificates, lambda: PausesEachTime(5_000)) as (protocol, peer):
        peer.transport.write(data)
        while len(protocol.data) < len(data):
            before = len(protocol.names)
            protocol.transport.resume_reading()
            await protocol.until(lambda before=before: len(protocol.names) > before)
            await io_passed()
            assert len(protocol.names) == before + 1
        assert protocol.data == data


async def test_what_came_before_the_end_is_delivered_first(certificates):
    data = payload(100_000)
    async with encrypted(certificates, lambda: BufferedRecorder(3_000)) as (protocol, peer):
        peer.transport.write(data)
        peer.transport.close()
        assert await protocol.lost() is None
        assert protocol.data == data
        assert protocol.names[-2:] == ["eof_received", "connection_lost"]


@pytest.mark.parametrize("wrong", WRONG_VIEWS)
async def test_a_wrong_buffer_is_reported_and_ends_the_connection(certificates, wrong, reported):
    async with encrypted(certificates, lambda: Offers(WRONG_VIEWS[wrong])) as (protocol, peer):
        peer.transport.write(b"x")
        error = await protocol.lost()
        assert error is not None
    (context,) = reported
    reported.clear()
    assert context["exception"] is error
    assert "buffer_updated" not in protocol.names


async def test_start_tls_under_a_buffered_protocol_fills_its_memory(certificates):
    loop = asyncio.get_running_loop()
    data = payload(SIZE)
    context = certificates.server_context()
    served = loop.create_future()

    class Upgrades(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            self.upgrading = loop.create_task(self.upgrade())

        async def upgrade(self):
            secure = Offers(array.array("I", bytes(SIZE)))
            secure.transport = await loop.start_tls(
                self.transport, secure, context, server_side=True
            )
            served.set_result(secure)

    server = await loop.create_server(Upgrades, "127.0.0.1", 0)
    async with server:
        transport, peer = await loop.create_connection(
            Recorder, *server.sockets[0].getsockname(), ssl=certificates.client_context(),
            server_hostname="localhost",
        )  # fmt: skip
        protocol = await served
        for start in range(0, SIZE, 1000):
            transport.write(data[start : start + 1000])
        assert await protocol.received(SIZE) == data
        transport.abort()
        await peer.lost()
        await protocol.lost()
