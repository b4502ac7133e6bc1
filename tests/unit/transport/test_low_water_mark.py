"""While bulk pours in one way the kernel waits for much, and but a moment for the rest."""

import asyncio
import contextlib
import itertools
import socket
import threading

import pytest
from peers import connection, io_passed, tcp_pair
from recording import Recording
from waits import until

pytestmark = pytest.mark.zcloop_only

MIB = 1024 * 1024
HIGH = 256 * 1024
TAIL = b"and that is all"


def low_water(sock):
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT)


class Counter(Recording, asyncio.Protocol):
    """Counts the bytes, and at each call looks at the mark."""

    at_mark = None  # called in data_received while the mark is raised

    def __init__(self):
        super().__init__()
        self.size = 0
        self.is_raised = False
        self.last = b""

    def connection_made(self, transport):
        self.sock = transport.get_extra_info("socket")
        super().connection_made(transport)

    def data_received(self, data):
        self.size += len(data)
        self.last = data[-len(TAIL) :]
        self.is_raised = low_water(self.sock) > 1
        if self.is_raised and self.at_mark is not None:
            self.at_mark()
        self.check()


class BufferedCounter(Counter, asyncio.BufferedProtocol):
    """The same, of what the loop put into its buffer."""

    def __init__(self, size):
        super().__init__()
        self.buffer = bytearray(size)

    def get_buffer(self, _hint):
        return self.buffer

    def buffer_updated(self, count):
        self.data_received(bytes(memoryview(self.buffer)[:count]))


class Flood:
    """A thread that sends until it is told to stop; then `tail`, and the socket stays open."""

    def __init__(self, peer, tail=b""):
        self.peer = peer
        self.tail = tail
        self.sent = 0
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        piece = bytes(MIB)
        self.peer.settimeout(20)
        with contextlib.suppress(OSError):  # the connection may be closed by then
            while not self.is_over.is_set():
                self.peer.sendall(piece)
                self.sent += len(piece)
            self.peer.sendall(self.tail)
            self.sent += len(self.tail)

    async def end(self):
        self.is_over.set()
        await asyncio.to_thread(self.thread.join)


@contextlib.asynccontextmanager
async def flooded(protocol, tail=b""):
    async with connection(lambda: protocol, tcp_pair) as (transport, _, peer):
        flood = Flood(peer, tail)
        flood.thread.start()
        try:
            yield transport, flood
        finally:
            flood.is_over.set()
            transport.abort()
            await flood.end()


PROTOCOLS = {
    "protocol": Counter,
    "small buffer": lambda: BufferedCounter(40 * 1024),
    "large buffer": lambda: BufferedCounter(2 * HIGH),
}


@pytest.mark.parametrize("is_debugged", [False, True], ids=["", "debug"])
@pytest.mark.parametrize("make", PROTOCOLS.values(), ids=PROTOCOLS)
async def test_the_rest_comes_without_more_being_sent(make, is_debugged):
    """The mark is raised in the flood, and what is less than it is delivered when that halts."""
    asyncio.get_running_loop().set_debug(is_debugged)
    protocol = make()
    async with flooded(protocol, TAIL) as (_, flood):
        await protocol.until(lambda: protocol.is_raised)
        assert low_water(protocol.sock) in (1, HIGH)  # 1: it has halted since
        await flood.end()
        await protocol.until(lambda: protocol.size == flood.sent)
        assert protocol.last == TAIL
        await until(lambda: low_water(protocol.sock) <= 1)


async def test_the_other_way_of_reading_is_tried():
    """Of what pours in, much is read with the mark raised, and then much without it."""
    protocol = Counter()
    stretches = [(False, 0)]

    def note():
        if protocol.is_raised != stretches[-1][0]:
            stretches.append((protocol.is_raised, protocol.size))
        was_raised, since = stretches[-1]
        return len(stretches) > 2 and not was_raised and protocol.size - since > 32 * MIB

    async with flooded(protocol):
        await protocol.until(note)
    raised = [
        end - start for (was_raised, start), (_, end) in itertools.pairwise(stretches) if was_raised
    ]
    assert max(raised) > 8 * MIB


async def test_all_comes_before_the_end():
    protocol = Counter()
    protocol.at_mark = lambda: flood.is_over.set()
    async with flooded(protocol) as (_, flood):
        await protocol.until(lambda: flood.is_over.is_set())
        await flood.end()
        flood.peer.close()
        assert await protocol.lost() is None
        assert protocol.size == flood.sent


@pytest.mark.parametrize("what", ["write", "writelines", "pause", "protocol", "close"])
async def test_it_is_lowered_by(what):
    """Who got an answer may wait for more of it; and the socket may be used by others."""
    protocol = Counter()
    marks = []

    def act():
        if marks:
            return
        transport = protocol.transport
        {
            "write": lambda: transport.write(b"answer"),
            "writelines": lambda: transport.writelines([b"ans", b"wer"]),
            "pause": transport.pause_reading,
            "protocol": lambda: transport.set_protocol(protocol),
            "close": transport.close,
        }[what]()
        marks.append(low_water(protocol.sock))

    protocol.at_mark = act
    async with flooded(protocol) as (_, flood):
        await protocol.until(lambda: marks)
        assert marks == [1]
        if what == "close":
            await protocol.lost()
        elif what == "pause":
            await io_passed()
            assert low_water(protocol.sock) == 1
            protocol.transport.resume_reading()
        if what != "close":
            await flood.end()
            await protocol.until(lambda: protocol.size == flood.sent)


async def test_one_that_the_program_sets_meanwhile_stays():
    protocol = Counter()
    marks = []

    def act():
        if not marks:
            protocol.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 5)
            protocol.transport.write(b"answer")
            marks.append(low_water(protocol.sock))

    protocol.at_mark = act
    async with flooded(protocol) as (_, flood):
        await protocol.until(lambda: marks)
        assert marks == [5]
        await flood.end()


def test_none_is_raised_when_the_loop_does_not_run(loop):
    """Others may have the socket then; and the rest is read when it runs again."""
    protocol = Counter()

    async def run():
        async with flooded(protocol, TAIL) as (_, flood):
            await protocol.until(lambda: protocol.is_raised)
            yield
            await flood.end()
            await protocol.until(lambda: protocol.size == flood.sent)

    runs = run()
    loop.run_until_complete(anext(runs))
    assert low_water(protocol.sock) == 1
    protocol.at_mark = loop.stop
    loop.run_forever()
    assert low_water(protocol.sock) == 1
    protocol.at_mark = None
    with pytest.raises(StopAsyncIteration):
        loop.run_until_complete(anext(runs))
    assert protocol.last == TAIL


async def test_one_that_the_program_has_set_stays():
    protocol = Counter()
    async with flooded(protocol) as (_, flood):
        protocol.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 5)
        start = protocol.size
        await protocol.until(lambda: protocol.size > start + 64 * MIB)
        assert low_water(protocol.sock) == 5
        await flood.end()


async def test_a_slow_sender_is_not_waited_for():
    """8 MiB at less than 256 KiB a millisecond."""
    protocol = Counter()
    raised = []
    protocol.at_mark = lambda: raised.append(protocol.size)
    async with connection(lambda: protocol, tcp_pair) as (_, _protocol, peer):
        for count in range(1, 257):
            await asyncio.get_running_loop().sock_sendall(peer, bytes(MIB // 16))
            await protocol.until(lambda count=count: protocol.size == count * MIB // 16)
            await asyncio.sleep(0.0005)
        assert not raised
