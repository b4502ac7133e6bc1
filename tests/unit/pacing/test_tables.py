"""Each row of the tables of states in pacing/ is what the code does."""

from __future__ import annotations

import socket
import time

import pytest
from state_tables import state_table

from zcloop._native.pacing import bulk_reading, coalescing, datagram_flow, spinning

pytestmark = pytest.mark.zcloop_only

MS = 1_000_000  # nanoseconds
SECOND = 1000 * MS
MIB = 1 << 20
GIB = 1 << 30


def by_row(module, *columns):
    rows = state_table(module, *columns)
    return pytest.mark.parametrize(
        columns_names(columns), rows, ids=[", ".join(row[: columns.index("then")]) for row in rows]
    )


def columns_names(columns):
    """Those of the arguments of a test: the second `way` is another one."""
    names = [column.replace(" ", "_") for column in columns]
    return [
        name if name not in names[:place] else f"{name}_then" for place, name in enumerate(names)
    ]


# ---- Spinning ------------------------------------------------------------------------------------

SPINNING = ("state", "what happens", "then", "next distance")
SHORT, LONG, QUICK, IN_VAIN = 50_000, 200_000, 10_000, -1
CHEAP, MEDIUM, DEAR = 0.0, 0.0003, 0.001  # seconds of CPU for a message


class Waits:
    """The waits of a loop after one trial in vain: the distance is 34."""

    def __init__(self):
        self.spinning = spinning.Spinning()
        self.completed = 0
        self.sleep(17, MEDIUM)
        self.look(1, IN_VAIN)

    def work(self, seconds):
        self.completed += 1
        end = time.thread_time() + seconds
        while time.thread_time() < end:
            pass

    def sleep(self, count, cost=CHEAP, duration=SHORT):
        for _ in range(count):
            assert self.state == "sleeping"
            self.work(cost)
            self.spinning.slept(duration, self.completed)

    def look(self, count, found=QUICK, cost=CHEAP):
        for _ in range(count):
            assert self.state != "sleeping"
            self.spinning.looked(found, self.completed)
            self.work(cost)

    @property
    def state(self):
        return {0: "sleeping", 100_000: "warming", 40_000: "looking"}[self.spinning.next_ns()]

    def lead_to(self, state):
        if state != "sleeping":
            self.sleep(34, MEDIUM)
        if state == "looking":
            self.look(4)
        assert self.state == state

    @property
    def distance(self):
        count = 0
        while self.state == "sleeping":
            self.sleep(1)
            count += 1
        return count

    def act(self, what):
        match what:
            case "a full distance of short sleeps":
                self.sleep(34)
            case "a long sleep":
                if self.state == "sleeping":
                    self.sleep(5)
                self.spinning.slept(LONG, self.completed)
            case "a long sleep, after a win":
                self.look(64)
                self.spinning.slept(LONG, self.completed)
            case "four looks that find something":
                self.look(4, SHORT)
            case "a look in vain":
                self.look(1, IN_VAIN)
            case "64 looks win":
                self.look(64)
            case "64 looks lose":
                self.look(64, cost=DEAR)
            case "64 looks lose twice in a row":
                self.look(128, cost=DEAR)
            case "two looks in vain in a row":
                self.look(1, IN_VAIN)
                self.look(1, SHORT)
            case "two looks in vain in a row, after a win":
                self.look(64)
                self.look(2, IN_VAIN)
            case "64 wins":
                self.look(64 * 64)
            case "a run of the loop begins":
                self.spinning.restart()
            case _:
                pytest.fail(f"nothing does {what!r}")


@pytest.mark.needs("cpu_clock")
@by_row(spinning, *SPINNING)
def test_spinning(state, what_happens, then, next_distance):
    waits = Waits()
    waits.lead_to(state)
    waits.act(what_happens)
    assert waits.state == then
    if next_distance != "-":
        assert waits.distance == {"shortest": 17, "same": 34, "doubled": 68}[next_distance]


# ---- BulkReading ---------------------------------------------------------------------------------

BULK = ("stage", "way", "what happens", "then", "way", "next distance")


class Reading:
    """A loop that reads bulk, after one trial in vain: it keeps to the patient way for 2 GiB."""

    def __init__(self):
        self.reading = bulk_reading.BulkReading()
        self.cpu_ns = self.now = 0
        for size in (16, 48, 16, 48):
            self.read(size * MIB)

    def read(self, size, cost=1, duration=10 * MS):
        """So much, with which a stage ends."""
        self.cpu_ns += size * cost
        self.now += duration
        assert not self.reading.note(size - 1)
        assert self.reading.note(1)
        self.reading.advance(self.cpu_ns, self.now)

    @property
    def way(self):
        return "kept" if self.reading.is_patient else "trial"

    def lead_to(self, stage, way):
        if (stage, way) != ("keep", "kept"):
            self.read(2 * GIB)
        if (stage, way) == ("warm up", "kept"):
            self.read(48 * MIB, duration=2 * SECOND)
        if way == "trial":
            self.read(48 * MIB)
            if stage == "measure":
                self.read(16 * MIB)
        assert self.way == way

    def act(self, what):
        match what:
            case "16 MiB":
                self.read(16 * MIB)
            case "48 MiB" | "48 MiB that cost more than that":
                self.read(48 * MIB, cost=0.96)
            case "48 MiB in more than a second" | "a second since the trial began":
                self.read(48 * MIB, cost=0.5, duration=SECOND + 1)
            case "48 MiB that cost 5 % less":
                self.read(48 * MIB, cost=0.94)
            case "a full distance":
                self.read(2 * GIB)
            case "a run of the loop begins":
                self.reading.restart()
            case _:
                pytest.fail(f"nothing does {what!r}")

    @property
    def stage_size(self):
        """Which ends the stage."""
        return next(size for size in range(MIB, 64 * GIB, MIB) if self.reading.note(MIB))


@by_row(bulk_reading, *BULK)
def test_bulk_reading(stage, way, what_happens, then, way_then, next_distance):
    machine = Reading()
    machine.lead_to(stage, way)
    machine.act(what_happens)
    assert machine.way == way_then
    sizes = {"warm up": 16 * MIB, "measure": 48 * MIB}
    distances = {"shortest": GIB, "same": 2 * GIB, "doubled": 4 * GIB}
    assert machine.stage_size == (distances[next_distance] if then == "keep" else sizes[then])


# ---- DatagramFlow and Coalescing -----------------------------------------------------------------

FLOW = ("state", "what happens", "then", "next distance")
COALESCING = ("state", "what happens", "then")
LIMIT_US = 50
RUN = 256
SLOW = 3 * MS
SMALL, LARGE = 64, 65000


class Flood:
    """One flow on a clock of its own, after one trial in vain: the distance is 8."""

    def __init__(self, fd):
        self.now = SECOND
        self.coalescing = coalescing.Coalescing(LIMIT_US)
        self.flow = datagram_flow.DatagramFlow(self.coalescing, fd, self.now)
        self.run(4)
        self.flow.leave()

    def run(self, count=1, duration=MS, size=SMALL, sent=RUN // 8):
        for _ in range(count):
            for _ in range(sent):
                self.flow.note_sent()
            assert [self.flow.note(size) for _ in range(RUN)] == [False] * (RUN - 1) + [True]
            self.now += duration
            self.flow.advance(self.now)

    def bring(self, count):
        """So many in a trial, before the sleep that ends it."""
        for _ in range(count):
            self.flow.note(SMALL)
        trial = self.coalescing.trial
        assert self.coalescing.is_kept(self.now)  # several short sleeps together are one trial
        assert self.coalescing.trial == trial
        self.now += LIMIT_US * 1000
        return self.coalescing.is_kept(self.now), self.coalescing.trial - trial

    @property
    def is_joined(self):
        return self.coalescing.flows == 1

    @property
    def distance(self):
        count = 0
        self.run(duration=SLOW)  # what came before does not count
        while not self.is_joined:
            self.run()
            count += 1
        return count

    def act(self, what):
        match what:
            case "a flood, but fewer in a row than the distance":
                self.run(7)
            case "a full distance of floods, which fits" | "a flow joins":
                self.run(8)
            case "a full distance of floods, which does not fit":
                self.run(8, size=LARGE)
            case "a run that is no flood":
                self.run(7)
                self.run(sent=RUN // 8 + 1)
                self.run(7)
            case "a flood that fits":
                self.run()
            case "no flood, in less than 16 runs":
                self.run(15)
                self.run(duration=SLOW)
            case "no flood, after 16 runs":
                self.run(16)
                self.run(size=LARGE)
            case "a pause, in less than 16 runs":
                self.flow.leave()
                self.flow.leave()
            case "a pause, after 16 runs":
                self.run(16)
                self.flow.leave()
            case "the epoch ends, in less than 16 runs":
                self.coalescing.restart()
                self.run()
            case "each flow brought four in this trial":
                assert self.bring(4) == (True, 1)
            case "a flow brought fewer in this trial":
                assert self.bring(3) == (False, 0)
            case "a run of the loop begins":
                self.coalescing.restart()
            case _:
                pytest.fail(f"nothing does {what!r}")


@pytest.fixture
def flood():
    ours, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, peer:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        yield Flood(ours.fileno())


@by_row(datagram_flow, *FLOW)
def test_a_datagram_flow(flood, state, what_happens, then, next_distance):
    if state == "joined":
        flood.run(8)
    flood.act(what_happens)
    assert flood.is_joined == (then == "joined")
    if next_distance != "-":
        assert flood.distance == {"shortest": 4, "same": 8, "doubled": 16}[next_distance]


@by_row(coalescing, *COALESCING)
def test_coalescing(flood, state, what_happens, then):
    if state == "waiting":
        flood.run(8)
    epoch = flood.coalescing.epoch
    flood.act(what_happens)
    assert flood.is_joined == (then == "waiting")
    assert flood.coalescing.epoch == epoch + (then == "off")


def test_a_flow_that_gathers_for_no_time_never_joins(flood):
    flood.coalescing.limit_us = 0
    flood.run(100)
    assert not flood.is_joined


def test_the_distance_of_a_flow_has_an_end(flood):
    for distance in (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 4096):
        assert flood.distance == distance
        flood.flow.leave()
