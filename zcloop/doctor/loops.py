"""What a loop itself says: whether one can be made, on which backend, and what it will use."""

from __future__ import annotations

import select
import warnings
from dataclasses import dataclass
from typing import Any

from zcloop.doctor.system_calls import name_of


@dataclass(frozen=True)
class LoopReport:
    """What `zcloop.new_event_loop()` gives in this process, with its environment."""

    backend: str | None
    """uring or epoll; None when no loop can be made."""
    features: dict[str, bool]
    error: str | None
    epoll: str
    """What epoll_create answers: OK, or the errno's name."""


def ask() -> LoopReport:
    """Make a loop, ask it, and close it."""
    import zcloop

    epoll = _ask_epoll()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loop: Any = zcloop.new_event_loop()
    except Exception as error:  # any error is what the reader wants to know
        return LoopReport(None, {}, f"{type(error).__name__}: {error}", epoll)
    try:
        # A zcloop without a second backend says neither.
        features = dict(getattr(loop, "features", {}))
        return LoopReport(getattr(loop, "backend", "uring"), features, None, epoll)
    finally:
        loop.close()


def _ask_epoll() -> str:
    try:
        select.epoll().close()
    except OSError as error:
        return name_of(-(error.errno or 0))
    return "OK"
