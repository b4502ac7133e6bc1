"""Water marks: pause_writing above the high one, resume_writing at the low one."""

import asyncio
import math

import pytest
from peers import PAIRS, connection, fill, io_passed, receive_exactly
from recording import Recorder

pytestmark = pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)


async def filled(transport):
    return fill(transport.get_extra_info("socket")._sock)


async def test_pause_above_the_high_mark_resume_at_the_low_one(pair):
    async with connection(Recorder, pair) as (transport, protocol, peer):
        transport.set_write_buffer_limits(high=1000, low=100)
        taken = await filled(transport)
        transport.write(b"x" * 1000)
        assert protocol.names == ["connection_made"]
        transport.write(b"x")
        assert protocol.names == ["connection_made", "pause_writing"]
        transport.write(b"x" * 5000)
        assert protocol.names.count("pause_writing") == 1
        await receive_exactly(peer, taken + 6001)
        await protocol.until(lambda: "resume_writing" in protocol.names)
        assert transport.get_write_buffer_size() <= 100
        assert protocol.names == ["connection_made", "pause_writing", "resume_writing"]


async def test_a_high_mark_of_zero_pauses_whatever_is_queued(pair):
    async with connection(Recorder, pair) as (transport, protocol, peer):
        transport.set_write_buffer_limits(high=0)
        assert transport.get_write_buffer_limits() == (0, 0)
        transport.write(b"fits")
        assert await receive_exactly(peer, 4) == b"fits"
        assert protocol.names == ["connection_made"]
        taken = await filled(transport)
        transport.write(b"x")
        assert protocol.names[1:] == ["pause_writing"]
        await receive_exactly(peer, taken + 1)
        await protocol.until(lambda: "resume_writing" in protocol.names)
        assert transport.get_write_buffer_size() == 0


async def test_a_large_write_pauses_before_it_returns(pair):
    async with connection(Recorder, pair) as (transport, protocol, peer):
        transport.write(bytes(20_000_000))
        assert protocol.names[1:] == ["pause_writing"]
        assert 0 < transport.get_write_buffer_size() < 20_000_000
        await receive_exactly(peer, 20_000_000)
        await protocol.until(lambda: "resume_writing" in protocol.names)


async def test_the_limits_are_asyncios(pair):
    async with connection(Recorder, pair) as (transport, _, _):
        assert transport.get_write_buffer_limits() == (16384, 65536)
        for given, wanted in (
            ({}, (16384, 65536)),
            ({"high": 100}, (25, 100)),
            ({"low": 100}, (100, 400)),
            ({"high": 100, "low": 100}, (100, 100)),
            ({"high": 0}, (0, 0)),
        ):
            transport.set_write_buffer_limits(**given)
            assert transport.get_write_buffer_limits() == wanted
        for wrong in ({"high": 1, "low": 2}, {"high": 10, "low": -1}, {"high": -1}):
            with pytest.raises(ValueError, match="must be >="):
                transport.set_write_buffer_limits(**wrong)


async def test_a_limit_may_be_infinite_or_a_fraction(pair):
    async with connection(Recorder, pair) as (transport, protocol, _):
        transport.set_write_buffer_limits(high=math.inf, low=0)
        assert transport.get_write_buffer_limits() == (0, math.inf)
        transport.write(bytes(20_000_000))
        assert protocol.names == ["connection_made"]
        transport.set_write_buffer_limits(high=1e6)
        assert transport.get_write_buffer_limits() == (250_000, 1_000_000)
        assert protocol.names == ["connection_made", "pause_writing"]
        with pytest.raises(ValueError, match="must be >="):
            transport.set_write_buffer_limits(high=math.inf)  # a quarter of it is no number
        transport.set_write_buffer_limits(low=math.inf)
        assert transport.get_write_buffer_limits() == (math.inf, math.inf)


async def test_lowering_the_high_mark_below_what_is_queued_pauses(pair):
    async with connection(Recorder, pair) as (transport, protocol, peer):
        taken = await filled(transport)
        transport.write(b"x" * 5000)
        assert protocol.names == ["connection_made"]
        transport.set_write_buffer_limits(high=1000)
        assert protocol.names[1:] == ["pause_writing"]
        await receive_exactly(peer, taken + 5000)
        await protocol.until(lambda: "resume_writing" in protocol.names)


async def test_a_writer_that_waits_in_drain_sends_everything_in_order(pair):
    loop = asyncio.get_running_loop()
    with pair() as (ours, peer):
        _, writer = await asyncio.open_connection(sock=ours)
        receiving = asyncio.ensure_future(receive_exactly(peer, 600 * 10_007))
        for number in range(600):
            writer.write(bytes([number % 251]) * 10_007)
            await writer.drain()
            assert writer.transport.get_write_buffer_size() <= 65536
        received = await receiving
        assert all(
            received[n * 10_007 : (n + 1) * 10_007] == bytes([n % 251]) * 10_007 for n in range(600)
        )
        writer.close()
        await writer.wait_closed()
        assert loop.is_running()


async def test_writing_from_resume_writing_goes_on(pair):
    class Pump(Recorder):
        left = 40

        def resume_writing(self):
            super().resume_writing()
            while self.left and self.names[-1] == "resume_writing":
                self.left -= 1
                self.transport.write(bytes(1_000_000))

    async with connection(Pump, pair) as (transport, protocol, peer):
        transport.write(bytes(1_000_000))
        transport.write(bytes(10_000_000))
        total = 51_000_000
        size = 0
        while size < total:
            size += len(await receive_exactly(peer, min(5_000_000, total - size)))
        await io_passed()
        assert protocol.names.count("pause_writing") == protocol.names.count("resume_writing")
        assert protocol.left == 0


@pytest.mark.parametrize("name", ["pause_writing", "resume_writing"])
async def test_an_exception_of_the_protocol_is_reported_and_the_data_goes_on(pair, name, reported):
    class Fails(Recorder):
        def note(self, *call):
            super().note(*call)
            if call[0] == name:
                raise LookupError(name)

    async with connection(Fails, pair) as (transport, protocol, peer):
        transport.set_write_buffer_limits(high=0)
        taken = await filled(transport)
        transport.write(b"goes on")
        assert (await receive_exactly(peer, taken + 7))[taken:] == b"goes on"
        await protocol.until(lambda: "resume_writing" in protocol.names)
        await asyncio.sleep(0)
    (context,) = reported
    reported.clear()
    assert context["message"] == f"protocol.{name}() failed"
    assert context["transport"] is transport and context["protocol"] is protocol
