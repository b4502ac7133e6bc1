"""An event channel's events, taken in tests: none may be missing, and none may be left."""

from __future__ import annotations

import contextlib
import select
from collections.abc import Iterator
from typing import Any

from slowness import SLOWNESS

import zcloop

# No event of a test takes so long; waiting ends with the event, not with the time.
PATIENCE = 10 * SLOWNESS


@contextlib.contextmanager
def channel_of(entries: int = 64, **options: Any) -> Iterator[zcloop.EventChannel]:
    """A channel that has nothing in flight and nothing to take at the end."""
    with zcloop.EventChannel(entries, **options) as channel:
        yield channel
        assert channel.next_event() is None
        assert channel.inflight == 0
        assert not is_readable(channel)


def is_readable(channel: zcloop.EventChannel) -> bool:
    return bool(select.select([channel], [], [], 0)[0])


def next_of(channel: zcloop.EventChannel) -> zcloop.Event:
    """The next event, which will come."""
    event = channel.wait(PATIENCE)
    assert event is not None
    return event


def take(channel: zcloop.EventChannel, count: int) -> list[zcloop.Event]:
    return [next_of(channel) for _ in range(count)]


def by_type(channel: zcloop.EventChannel, count: int) -> dict[str, zcloop.Event]:
    """So many events, each of a type of its own."""
    events = {event.type: event for event in take(channel, count)}
    assert len(events) == count
    return events
