"""zcloop.StreamReader against asyncio's: the same feeds and reads, the same results."""

import asyncio
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zcloop

pytestmark = [pytest.mark.zcloop_only, pytest.mark.seconds(120)]

TURNS = 6  # of the loop, until a step has had its effect
LIMITS = (1, 4, 16, 1 << 16)


class Flow:
    """A transport that is only paused and resumed."""

    is_paused = False

    def __repr__(self):
        return "Flow"

    def pause_reading(self):
        self.is_paused = True

    def resume_reading(self):
        self.is_paused = False


def outcome(task):
    if task.cancelled():
        return "cancelled"
    error = task.exception()
    if error is None:
        return task.result()
    return type(error), str(error), getattr(error, "partial", None), getattr(error, "consumed", 0)


async def play(reader, steps):
    """Return what the reads of `steps` gave, and how the reader stood after each step."""
    flow = Flow()
    reader.set_transport(flow)
    tasks, seen = [], []
    is_ended = False
    for name, *arguments in steps:
        if name == "feed":
            if not is_ended:
                reader.feed_data(*arguments)
        elif name == "feed_eof":
            reader.feed_eof()
            is_ended = True
        elif name == "set_exception":
            reader.set_exception(OSError("broken"))
        elif name == "cancel":
            for task in tasks:
                task.cancel()
        else:
            tasks.append(asyncio.create_task(getattr(reader, name)(*arguments)))
        for _ in range(TURNS):
            await asyncio.sleep(0)
        waiting = [task.done() for task in tasks]
        text = repr(reader) if reader._waiter is None else "waiting"
        seen.append((waiting, flow.is_paused, bytes(reader._buffer), reader.at_eof(), text))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return [outcome(task) for task in tasks], seen


# There are few letters and short separators, so that feeds often contain and split them.
pieces = st.text(alphabet="ab\n", max_size=12).map(str.encode)
separators = st.text(alphabet="ab\n", max_size=3).map(str.encode)
reads = st.one_of(
    st.tuples(st.just("read"), st.integers(-1, 12)),
    st.tuples(st.just("readexactly"), st.integers(-1, 24)),
    st.tuples(st.just("readuntil"), separators),
    st.just(("readline",)),
    st.just(("__anext__",)),
)
steps = st.one_of(
    st.tuples(st.just("feed"), pieces),
    reads,
    st.sampled_from([("feed_eof",), ("cancel",), ("set_exception",)]),
)


@given(steps=st.lists(st.one_of(steps, steps, reads), max_size=14), limit=st.sampled_from(LIMITS))
@settings(max_examples=400, deadline=None)
def test_any_feeds_and_reads_give_what_asyncio_gives(steps, limit):
    async def both():
        theirs = await play(asyncio.StreamReader(limit=limit), steps)
        assert await play(zcloop.StreamReader(limit=limit), steps) == theirs

    zcloop.run(both())


@given(data=st.binary(max_size=200), cuts=st.lists(st.integers(0, 200), max_size=12),
       sizes=st.lists(st.integers(1, 60), max_size=12))  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_no_byte_is_lost_or_repeated_whatever_is_split(data, cuts, sizes):
    async def read():
        reader = zcloop.StreamReader()
        places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
        got = b""
        for start, end in itertools.pairwise(places):
            reader.feed_data(data[start:end])
            if sizes:
                got += await reader.read(sizes[start % len(sizes)])
        reader.feed_eof()
        assert got + await reader.read() == data

    zcloop.run(read())


@given(data=st.text(alphabet="abc", max_size=30).map(str.encode), cut=st.integers(0, 30),
       given_separators=st.lists(separators, max_size=3).map(tuple))  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_the_first_separator_to_end_is_the_one(data, cut, given_separators):
    """Do as Python 3.13 does, on every version."""

    async def read():
        reader = zcloop.StreamReader()
        reader.feed_data(data[:cut])
        reading = asyncio.create_task(reader.readuntil(given_separators))
        await asyncio.sleep(0)
        reader.feed_data(data[cut:])
        reader.feed_eof()
        if not given_separators or b"" in given_separators:
            with pytest.raises(ValueError):
                await reading
            return
        ends = [data.find(one) + len(one) for one in given_separators if one in data]
        if ends:
            assert await reading == data[: min(ends)]
        else:
            with pytest.raises(asyncio.IncompleteReadError) as caught:
                await reading
            assert caught.value.partial == data

    zcloop.run(read())
