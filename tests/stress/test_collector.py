"""Everything at once, with the collector at nearly every allocation and finalizers that act.

Frames of known content go over TCP, Unix and UDP sockets and pipes, by protocols of each kind.
Garbage is made all the time whose finalizers close, abort, pause, resume, write, exchange a
protocol, stop the loop, exchange a reader; KeyboardInterrupt comes at random. No frame may come
broken or twice, and none may be missing on a connection that nobody has closed.

ZCLOOP_COLLECTOR_SECONDS is how long each seed takes (3). ZCLOOP_COLLECTOR_SEEDS is how many (4).
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import signal
import socket
import time

import pytest
from collecting import Final
from frames import Frames, frame
from peers import tcp_pair, unix_pair

import zcloop

SECONDS = float(os.environ.get("ZCLOOP_COLLECTOR_SECONDS", "3"))
SEEDS = int(os.environ.get("ZCLOOP_COLLECTOR_SEEDS", "4"))
SETTLE_SECONDS = 30
LINKS = 4  # of each kind
SIZES = (0, 1, 40, 700, 5_000, 20_000, 70_000, 200_000)


class End:
    """One end of a connection, whatever protocol it has at the moment: what it wrote and got."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.transport = None
        self.frames = Frames()
        self.next = 0
        self.written: set[int] = set()
        self.received = self.frames.received
        self.peer: End | None = None
        self.is_disturbed = False  # closed or aborted on purpose
        self.is_lost = False

    def protocol(self):
        return self.world.random.choice((Plain, Buffered, Lent))(self)

    def write_frames(self, count: int = 1) -> None:
        transport = self.transport
        if not isinstance(transport, asyncio.WriteTransport) or self.is_disturbed:
            return
        if transport.is_closing() or transport.get_write_buffer_size() > 1_000_000:
            return
        frames = []
        for _ in range(count):
            number, self.next = self.next, self.next + 1
            frames.append(frame(number, self.world.random.choice(SIZES)))
            self.written.add(number)
        if count > 1:
            transport.writelines(frames)
        else:
            self.write_one(frames[0])

    def write_one(self, data: bytes) -> None:
        kind = self.world.random.randrange(4)
        if kind == 0 and hasattr(self.transport, "reserve"):
            try:
                view = self.transport.reserve(len(data))
            except MemoryError:
                view = bytearray(len(data))
            view[:] = data
            self.transport.write(view)
            if isinstance(view, memoryview):
                view.release()
        else:
            self.transport.write(bytearray(data) if kind == 1 else data)

    def check(self) -> None:
        peer = self.peer
        assert peer is not None
        assert self.received <= peer.written
        if not (self.is_disturbed or peer.is_disturbed):
            assert self.received == peer.written, sorted(peer.written - self.received)[:5]

    def is_complete(self) -> bool:
        peer = self.peer
        return (
            peer is None or self.is_disturbed or peer.is_disturbed or self.received == peer.written
        )


class Protocol:
    def __init__(self, end: End) -> None:
        self.end = end

    def connection_made(self, transport) -> None:
        self.end.transport = transport
        if hasattr(transport, "set_zero_copy_send"):
            transport.set_zero_copy_send("always")
        self.end.world.litter()

    def connection_lost(self, error) -> None:
        self.end.is_lost = True
        self.end.world.litter()

    def pause_writing(self) -> None:
        self.end.world.litter()

    def resume_writing(self) -> None:
        self.end.world.litter()

    def eof_received(self) -> None:
        pass

    def came(self, data) -> None:
        self.end.frames.feed(data)
        self.end.world.litter()
        safe_point()


def safe_point() -> None:
    """Where an interrupt loses nothing."""


class Plain(Protocol, asyncio.Protocol):
    def data_received(self, data) -> None:
        self.came(data)


class Buffered(Protocol, asyncio.BufferedProtocol):
    def get_buffer(self, size) -> memoryview:
        self.end.world.litter()
        self.memory = bytearray(self.end.world.random.choice((1, 100, 65_536)))
        return self.memory

    def buffer_updated(self, size) -> None:
        self.came(self.memory[:size])


class Lent(Protocol, zcloop.ZeroCopyProtocol):
    def buffer_received(self, view) -> None:
        data = bytes(view)
        if self.end.world.random.random() < 0.5:
            view.release()
        elif self.end.world.random.random() < 0.5:
            self.end.world.views.append(view)
            del self.end.world.views[:-20]
        self.came(data)


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self, end: End) -> None:
        self.end = end

    def connection_made(self, transport) -> None:
        self.end.transport = transport
        transport.set_zero_copy_send("always")

    def connection_lost(self, error) -> None:
        self.end.is_lost = True

    def datagram_received(self, data, address) -> None:
        assert not self.end.frames.buffer
        self.end.frames.feed(data)
        self.end.world.litter()
        safe_point()

    def error_received(self, error) -> None:
        self.end.world.litter()


def ending(transport):
    """abort(), of those that have one."""
    return getattr(transport, "abort", transport.close)


class World:
    def __init__(self, loop, reported: list, seed: int) -> None:
        self.loop = loop
        self.reported = reported
        self.random = random.Random(seed)
        self.ends: list[End] = []
        self.udp: list[End] = []
        self.views: list[memoryview] = []
        self.readers = socket.socketpair()
        self.is_over = True  # or not yet begun
        self.is_ticking = False
        self.deadline = 0.0

    # ---- what finalizers do ----------------------------------------------------------------------

    def litter(self) -> None:
        if self.is_over:
            return
        for _ in range(self.random.randrange(3)):
            Final(self.act)

    def act(self) -> None:
        if not self.is_over and self.ends:
            self.random.choices(
                (
                    self.pause,
                    self.write,
                    self.exchange,
                    self.stop,
                    self.reader,
                    self.send,
                    self.end,
                ),
                (6, 6, 3, 1, 2, 3, 0.3),
            )[0]()

    def pause(self) -> None:
        end = self.random.choice(self.ends)
        if end.transport is None or not hasattr(end.transport, "pause_reading"):
            return
        try:
            end.transport.pause_reading()
        except (NotImplementedError, RuntimeError):
            return
        if self.random.random() < 0.5:
            end.transport.resume_reading()
        else:
            self.loop.call_soon(end.transport.resume_reading)

    def write(self) -> None:
        self.random.choice(self.ends).write_frames(self.random.randrange(1, 4))

    def exchange(self) -> None:
        end = self.random.choice(self.ends)
        if isinstance(end.transport, zcloop.loop._transports.StreamTransport):
            end.transport.set_protocol(end.protocol())

    def stop(self) -> None:
        self.loop.stop()

    def reader(self) -> None:
        self.loop.remove_reader(self.readers[0])
        self.loop.add_reader(self.readers[0], self.litter)
        self.loop.remove_writer(self.readers[0])
        self.loop.add_writer(self.readers[0], self.written)

    def written(self) -> None:
        self.loop.remove_writer(self.readers[0])

    def send(self) -> None:
        end = self.random.choice(self.udp)
        if end.transport is None or end.transport.is_closing():
            return
        number, end.next = end.next, end.next + 1
        end.written.add(number)
        data = frame(number, self.random.choice(SIZES[:-2]))
        if self.random.random() < 0.3:
            view = end.transport.reserve(len(data))
            view[:] = data
            end.transport.sendto(view)
            view.release()
        else:
            end.transport.sendto(data)

    def end(self) -> None:
        end = self.random.choice(self.ends)
        if end.transport is not None:
            end.is_disturbed = True
            self.random.choice((end.transport.close, ending(end.transport)))()

    # ---- what goes on ----------------------------------------------------------------------------

    def start(self) -> None:
        run = self.loop.run_until_complete
        for _ in range(LINKS):
            run(self.connect())
            run(self.connect_pipe())
            run(self.connect_datagrams())
        signal.signal(signal.SIGPROF, self.interrupt)

    def pair(self) -> tuple[End, End]:
        one, other = End(self), End(self)
        one.peer, other.peer = other, one
        return one, other

    async def connect(self) -> None:
        for make in (tcp_pair, unix_pair):
            with make() as socks:
                ends = self.pair()
                for end, sock in zip(ends, socks, strict=True):
                    await self.loop.create_connection(end.protocol, sock=sock.dup())
                self.ends.extend(ends)

    async def connect_pipe(self) -> None:
        ends = self.pair()
        reading, writing = os.pipe()
        await self.loop.connect_read_pipe(lambda: Plain(ends[0]), os.fdopen(reading, "rb", 0))
        await self.loop.connect_write_pipe(lambda: Plain(ends[1]), os.fdopen(writing, "wb", 0))
        self.ends.extend(ends)

    async def connect_datagrams(self) -> None:
        ends = self.pair()
        socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in ends]
        for sock in socks:
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)
        socks[0].connect(socks[1].getsockname())
        socks[1].connect(socks[0].getsockname())
        for end, sock in zip(ends, socks, strict=True):
            await self.loop.create_datagram_endpoint(lambda end=end: Datagrams(end), sock=sock)
        self.udp.extend(ends)

    def tick(self) -> None:
        self.is_ticking = False
        if time.monotonic() >= self.deadline or self.reported:
            self.is_over = True
            self.loop.stop()
            return
        self.loop.call_later(self.random.choice((0, 0, self.random.random() / 2000)), self.tick)
        self.is_ticking = True
        for _ in range(self.random.randrange(1, 6)):
            self.write()
        self.send()
        self.litter()
        gc.set_threshold(self.random.choice((1, 1, 3, 20)))

    def interrupt(self, number, frame) -> None:
        if self.is_over:
            return
        signal.setitimer(signal.ITIMER_PROF, self.random.random() / 100)
        code = frame.f_code
        if code is safe_point.__code__ or code is asyncio.BaseEventLoop.run_forever.__code__:
            raise KeyboardInterrupt

    def run(self) -> int:
        interrupts = 0
        self.is_over = False
        self.deadline = time.monotonic() + SECONDS
        signal.setitimer(signal.ITIMER_PROF, 0.01)
        while not self.is_over:
            if not self.is_ticking:
                self.loop.call_soon(self.tick)
                self.is_ticking = True
            try:
                self.loop.run_forever()
            except KeyboardInterrupt:
                interrupts += 1
        signal.setitimer(signal.ITIMER_PROF, 0)
        return interrupts

    async def settle(self) -> None:
        self.views.clear()
        limit = time.monotonic() + SETTLE_SECONDS
        while not all(end.is_complete() for end in self.ends) and time.monotonic() < limit:
            await asyncio.sleep(0.01)
        for end in self.ends:
            end.check()
        for end in self.udp:
            assert end.received <= end.peer.written
        self.loop.remove_reader(self.readers[0])
        self.loop.remove_writer(self.readers[0])
        for sock in self.readers:
            sock.close()
        for end in self.ends + self.udp:
            if end.transport is not None:
                ending(end.transport)()
        while not all(end.is_lost for end in self.ends + self.udp) and time.monotonic() < limit:
            await asyncio.sleep(0.01)
        assert all(end.is_lost for end in self.ends + self.udp)


@pytest.mark.zcloop_only
@pytest.mark.seconds(SECONDS * 10 + 60)
@pytest.mark.parametrize("seed", range(SEEDS))
def test_nothing_breaks_when_finalizers_act_in_any_allocation(loop, reported, seed):
    before = gc.get_threshold()
    handler = signal.getsignal(signal.SIGPROF)
    world = World(loop, reported, seed)
    world.start()
    try:
        interrupts = world.run()
    finally:
        gc.set_threshold(*before)
    assert reported == []
    assert interrupts >= 0
    gc.collect()
    loop.run_until_complete(world.settle())
    signal.signal(signal.SIGPROF, handler)
    assert reported == []
    assert sum(len(end.received) for end in world.ends) > 100
    assert sum(len(end.received) for end in world.udp) > 10
