"""Any sequence of arrivals, releases, reservations and pauses over a loop's pool and its ring."""

import asyncio
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lending import LeaseRecorder, is_balanced
from peers import payload, unix_pair

import zcloop

pytestmark = [pytest.mark.zcloop_only, pytest.mark.seconds(90)]

SIZES = st.sampled_from([1, 100, 1023, 1025, 5000, 16_384, 40_000, 150_000])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["send", "reserve"]), SIZES),
        st.tuples(st.sampled_from(["release", "cut", "echo"]), st.integers(0, 100)),
        st.tuples(st.sampled_from(["pause", "resume", "turn", "wait", "wait"]), st.none()),
        st.tuples(st.just("copybreak"), st.sampled_from([0, 1000, 4096])),
        st.tuples(st.just("limit"), st.sampled_from([1, 1 << 20, 2 << 20, 64 << 20])),
        st.tuples(st.just("quota"), st.sampled_from([0, 20_000, 8 << 20])),
    ),
    max_size=50,
)


async def play(steps):
    """Slots are with the kernel, lent, reserved or free; what is lent does not change."""
    loop = asyncio.get_running_loop()
    sent, held, reserved, written = bytearray(), [], [], 0
    with unix_pair() as (ours, peer):
        transport, protocol = await loop.create_connection(
            lambda: LeaseRecorder(keeps=True), sock=ours
        )
        pool = loop.channel.pool

        def check():
            while protocol.views:
                held.append((protocol.views.pop(0), bytes(protocol.data[check.seen :])))
                view, rest = held[-1]
                held[-1] = view, rest[: len(view)]
                check.seen += len(view)
            for view, wanted in held + reserved:
                assert view == wanted
            found = pool.statistics()
            assert is_balanced(found) and found["size"] == pool.size
            ring = loop.channel.lending
            assert found["kernel_blocks"] == (0 if ring is None else ring.count)
            account = transport.lease_statistics()
            assert account["held"] == found["lease"] + found["reserve"]
            assert account["leases"] == found["lease_blocks"] + found["reserve_blocks"]
            assert len(pool.leases()) == account["leases"]
            assert account["lent_bytes"] + account["copied_bytes"] >= len(protocol.data)
            assert sent.startswith(protocol.data)

        check.seen = 0
        for number, (step, argument) in enumerate(steps):
            if step == "send":
                data = payload(argument, number)
                with contextlib.suppress(BlockingIOError):
                    sent += data[: peer.send(data)]
            elif step == "reserve":
                with contextlib.suppress(zcloop.RegionExhaustedError):
                    view = transport.reserve(argument)
                    view[:] = payload(argument, number)
                    reserved.append((view, payload(argument, number)))
            elif step in ("release", "cut", "echo"):
                of = reserved if reserved and argument % 2 else held
                if of:
                    view, wanted = of.pop(argument % len(of))
                    if step == "echo":
                        transport.write(view)
                        written += len(view)
                    elif step == "cut" and len(view) > 1:
                        of.append((view[1:], wanted[1:]))
                    view.release()
            elif step == "pause":
                transport.pause_reading()
            elif step == "resume":
                transport.resume_reading()
            elif step == "limit":
                loop.set_lease_pool_limit(argument)
            elif step in ("copybreak", "quota"):
                transport.set_lease_limits(**{step: argument})
            else:
                await asyncio.sleep(0 if step == "turn" else 0.0001)
            check()
        transport.resume_reading()
        transport.set_lease_limits(quota=64 << 20)
        while len(protocol.data) < len(sent) or transport.get_write_buffer_size():
            with contextlib.suppress(BlockingIOError):
                written -= len(peer.recv(1 << 20))
            await asyncio.sleep(0)
            check()
        assert protocol.data == sent
        with contextlib.suppress(BlockingIOError):
            while True:
                written -= len(peer.recv(1 << 20))
        assert written == 0
        for view, _ in held + reserved:
            view.release()
        held.clear()
        reserved.clear()
        check()
        assert pool.leases() == []
        transport.close()
        await protocol.lost()


@given(STEPS)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_lent_memory_is_its_model(steps):
    zcloop.run(play(steps))
