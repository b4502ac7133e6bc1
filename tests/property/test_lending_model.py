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


class Lending:
    """A transport that lends, its peer, and what the model knows of both."""

    def __init__(self, transport, protocol, peer):
        self.loop = asyncio.get_running_loop()
        self.transport, self.protocol, self.peer = transport, protocol, peer
        self.pool = self.loop.channel.pool
        self.sent = bytearray()
        self.seen = 0  # bytes of what was received that `held` has had
        self.held, self.reserved = [], []  # views, each with what it has to show
        self.written = 0  # bytes that are on their way to the peer

    def check(self):
        """Slots are with the kernel, lent, reserved or free; what is lent does not change."""
        while self.protocol.views:
            view = self.protocol.views.pop(0)
            wanted = bytes(self.protocol.data[self.seen : self.seen + len(view)])
            self.held.append((view, wanted))
            self.seen += len(view)
        for view, wanted in self.held + self.reserved:
            assert view == wanted
        found = self.pool.statistics()
        assert is_balanced(found) and found["size"] == self.pool.size
        ring = self.loop.channel.lending
        assert found["kernel_blocks"] == (0 if ring is None else ring.count)
        account = self.transport.lease_statistics()
        assert account["held"] == found["lease"] + found["reserve"]
        assert account["leases"] == found["lease_blocks"] + found["reserve_blocks"]
        assert len(self.pool.leases()) == account["leases"]
        assert account["lent_bytes"] + account["copied_bytes"] >= len(self.protocol.data)
        assert self.sent.startswith(self.protocol.data)

    async def take(self, number, step, argument):
        if step == "send":
            data = payload(argument, number)
            with contextlib.suppress(BlockingIOError):
                self.sent += data[: self.peer.send(data)]
        elif step == "reserve":
            with contextlib.suppress(zcloop.RegionExhaustedError):
                view = self.transport.reserve(argument)
                view[:] = payload(argument, number)
                self.reserved.append((view, payload(argument, number)))
        elif step in ("release", "cut", "echo"):
            self.use_one(step, argument)
        elif step == "pause":
            self.transport.pause_reading()
        elif step == "resume":
            self.transport.resume_reading()
        elif step == "limit":
            self.loop.set_lease_pool_limit(argument)
        elif step in ("copybreak", "quota"):
            self.transport.set_lease_limits(**{step: argument})
        else:
            await asyncio.sleep(0 if step == "turn" else 0.0001)

    def use_one(self, step, argument):
        """Release a view, keep its tail, or write it back."""
        of = self.reserved if self.reserved and argument % 2 else self.held
        if of:
            view, wanted = of.pop(argument % len(of))
            if step == "echo":
                self.transport.write(view)
                self.written += len(view)
            elif step == "cut" and len(view) > 1:
                of.append((view[1:], wanted[1:]))
            view.release()

    def receive(self):
        self.written -= len(self.peer.recv(1 << 20))

    async def end(self):
        """Everything arrives, and every slot comes home."""
        self.transport.resume_reading()
        self.transport.set_lease_limits(quota=64 << 20)
        while len(self.protocol.data) < len(self.sent) or self.transport.get_write_buffer_size():
            with contextlib.suppress(BlockingIOError):
                self.receive()
            await asyncio.sleep(0)
            self.check()
        assert self.protocol.data == self.sent
        with contextlib.suppress(BlockingIOError):
            while True:
                self.receive()
        assert self.written == 0
        for view, _ in self.held + self.reserved:
            view.release()
        self.held.clear()
        self.reserved.clear()
        self.check()
        assert self.pool.leases() == []


async def play(steps):
    with unix_pair() as (ours, peer):
        transport, protocol = await asyncio.get_running_loop().create_connection(
            lambda: LeaseRecorder(keeps=True), sock=ours
        )
        lending = Lending(transport, protocol, peer)
        for number, (step, argument) in enumerate(steps):
            await lending.take(number, step, argument)
            lending.check()
        await lending.end()
        transport.close()
        await protocol.lost()


@given(STEPS)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_lent_memory_is_its_model(steps):
    zcloop.run(play(steps))
