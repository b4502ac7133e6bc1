"""Takes the events of an event channel, and checks that none is missing and none is left."""

from __future__ import annotations

import contextlib
import select
from collections.abc import Iterator
from typing import Any

from slowness import SLOWNESS

import zcloop

# No event of a test takes so long. The wait ends when the event comes.
PATIENCE = 10 * SLOWNESS


@contextlib.contextmanager
def channel_of(entries: int = 64, **options: Any) -> Iterator[zcloop.EventChannel]:
    """Make a channel. At the end of the block nothing may be in flight, and no event left."""
    with zcloop.EventChannel(entries, **options) as channel:
        yield channel
        assert channel.next_event() is None
        assert channel.inflight == 0
        assert not is_readable(channel)


def is_readable(channel: zcloop.EventChannel) -> bool:
    return bool(select.select([channel], [], [], 0)[0])


def next_of(channel: zcloop.EventChannel) -> zcloop.Event:
    """Wait for the next event."""
    event = channel.wait(PATIENCE)
    assert event is not None
    return event


def take(channel: zcloop.EventChannel, count: int) -> list[zcloop.Event]:
    return [next_of(channel) for _ in range(count)]


def by_type(channel: zcloop.EventChannel, count: int) -> dict[str, zcloop.Event]:
    """Take `count` events, of which no two have the same type; return them by type."""
    events = {event.type: event for event in take(channel, count)}
    assert len(events) == count
    return events
