"""write() and writelines() of views of leases: in place, and held until the kernel has them."""

import asyncio

import pytest
from lending import LeaseRecorder
from peers import PAIRS, connection, fill, io_passed, payload, receive_exactly
from recording import Recorder

import zcloop

pytestmark = [
    pytest.mark.zcloop_only,
    pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS),
]


def leases():
    return asyncio.get_running_loop().leases()


@pytest.mark.parametrize("size", [1, 100, 4095, 4096, 70_000, 1 << 20])
async def test_a_reservation_released_right_after_its_write_is_sent(pair, size):
    async with connection(Recorder, pair) as (transport, _, peer):
        with transport.reserve(size) as view:
            view[:] = payload(size)
            transport.write(view)
        assert await receive_exactly(peer, size) == payload(size)
        await io_passed()
        assert leases() == [] and transport.lease_statistics()["held"] == 0


@pytest.mark.parametrize("method", ["write", "writelines"])
@pytest.mark.parametrize("size", [10, 1000, 5000, 100_000])
async def test_what_waits_for_a_slow_peer_keeps_its_block(pair, size, method):
    async with connection(Recorder, pair) as (transport, _, peer):
        taken = fill(transport.get_extra_info("socket")._sock)
        with transport.reserve(size) as view:
            view[:] = payload(size)
            if method == "write":
                transport.write(view)
            else:
                transport.writelines([view[: size // 2], view[size // 2 :]])
        await io_passed()
        assert transport.get_write_buffer_size() == size
        assert [lease["use"] for lease in leases()] == ["reserve"]
        for number in range(20):
            with transport.reserve(size) as other:
                other[:] = bytes([number]) * size
        received = await receive_exactly(peer, taken + size)
        assert received[taken:] == payload(size)
        await io_passed()
        assert leases() == []


async def test_parts_casts_and_mixed_pieces_are_sent_as_they_are(pair):
    async with connection(Recorder, pair) as (transport, _, peer):
        with transport.reserve(4000) as view:
            view[:] = payload(4000)
            pieces = [
                view[10:20], b"bytes", view[0:0], view.cast("I")[3:9], bytearray(b"array"),
                view.toreadonly()[100:], view[::2], b"",
            ]  # fmt: skip
            wanted = b"".join(bytes(piece) for piece in pieces)
            transport.writelines(pieces)
            for piece in pieces:
                transport.write(piece)
        assert await receive_exactly(peer, 2 * len(wanted)) == wanted * 2


@pytest.mark.parametrize("size", [100, 5000])
async def test_writing_a_released_view_is_a_value_error_and_sends_nothing(pair, size):
    async with connection(Recorder, pair) as (transport, _, peer):
        view = transport.reserve(size)
        view.release()
        with pytest.raises(ValueError, match="released"):
            transport.write(view)
        with pytest.raises(ValueError, match="released"):
            transport.writelines([b"not this either", view])
        transport.write(b"next")
        assert await receive_exactly(peer, 4) == b"next"


async def test_abort_gives_back_what_was_queued(pair):
    async with connection(Recorder, pair) as (transport, protocol, _):
        fill(transport.get_extra_info("socket")._sock)
        for size in (100, 10_000):
            with transport.reserve(size) as view:
                transport.write(view)
        await io_passed()
        assert len(leases()) == 2
        transport.abort()
        await protocol.lost()
        assert leases() == []


async def test_an_echo_of_everything_is_exact_and_copies_nothing(pair):
    class Echo(LeaseRecorder):
        def buffer_received(self, view):
            self.transport.write(view)
            super().buffer_received(view)

    size = 3_000_000
    async with connection(lambda: Echo(copybreak=0), pair) as (transport, protocol, peer):
        sending = asyncio.ensure_future(
            asyncio.get_running_loop().sock_sendall(peer, payload(size))
        )
        assert await receive_exactly(peer, size) == payload(size)
        await sending
        assert transport.lease_statistics()["copied_bytes"] == 0
        assert protocol.data == payload(size)
        await io_passed()
        assert leases() == []


async def test_a_view_of_another_loops_memory_is_sent_in_place(pair):
    def other():
        async def main():
            async with connection(lambda: LeaseRecorder(keeps=True, copybreak=0), pair) as (
                _, protocol, peer,
            ):  # fmt: skip
                peer.send(payload(5000))
                await protocol.received(5000)
                return protocol.views

        return zcloop.run(main())

    views = await asyncio.to_thread(other)
    async with connection(Recorder, pair) as (transport, _, peer):
        for view in views:
            transport.write(view)
            view.release()
        assert await receive_exactly(peer, 5000) == payload(5000)


async def test_reserving_needs_a_size_and_an_open_loop(pair):
    async with connection(Recorder, pair) as (transport, _, _):
        with pytest.raises(ValueError, match="at least one byte"):
            transport.reserve(0)
        for size in (1 << 40, 1 << 63, (1 << 64) - 1):
            with pytest.raises(zcloop.RegionExhaustedError, match=f"no free block of {size} bytes"):
                transport.reserve(size)


async def test_a_large_reservation_makes_the_pool_grow_by_a_block_of_its_size(pair):
    """5 MiB come from a block of 8 MiB; 1.2 MiB from one of 2 MiB, more than the first region."""
    async with connection(Recorder, pair) as (transport, _, _):
        for size in (1_250_000, 5 << 20, 9 << 20):
            with transport.reserve(size) as view:
                assert len(view) == size
        assert asyncio.get_running_loop().statistics()["pool_refusals"] == 0
