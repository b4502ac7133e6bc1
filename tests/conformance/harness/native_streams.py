"""Puts zcloop's streams wherever a test asks asyncio for streams, in this process."""

import asyncio
import importlib
from typing import Any


def put_in_place() -> None:
    """Before the test modules are imported; asyncio's own use of its streams stays as it is."""
    streams: Any = importlib.import_module("zcloop.streams")
    flow_control: Any = importlib.import_module("zcloop._native.streams.flow_control")
    for name in streams.__all__:
        setattr(asyncio, name, getattr(streams, name))
    asyncio.streams.FlowControlMixin = flow_control.FlowControl  # type: ignore[misc]
