"""zcloop: an asyncio event loop for Linux whose selector is one io_uring channel.

Swap it in with one line: `zcloop.run(main())`, or `loop_factory=zcloop.new_event_loop`.
"""

import sys as _sys
from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

if _sys.platform != "linux":
    raise ImportError("zcloop is built on io_uring and runs on Linux only")

try:
    from zcloop._native.events.event import Event
except ModuleNotFoundError as _error:
    if _error.name != "zcloop._native":
        raise
    raise ImportError(
        f"{__path__[0]} is zcloop's source, which has no compiled part, and hides the zcloop that "
        "is installed: leave that folder, or run python -P"
    ) from None
from zcloop._native.memory.lender import trace_leases
from zcloop._native.memory.region import Region, RegionExhaustedError
from zcloop._native.transport.zero_copy import ZeroCopyDatagramProtocol, ZeroCopyProtocol
from zcloop.event_channel import EventChannel
from zcloop.loop import Loop, new_event_loop
from zcloop.loop._policy import EventLoopPolicy, install, run
from zcloop.zero_copy_socket import ZeroCopySocket

if _TYPE_CHECKING:
    from zcloop import files as files
    from zcloop import message_queues as message_queues
    from zcloop import requests as requests
    from zcloop import streams as streams
    from zcloop import sync as sync
    from zcloop import testing as testing
    from zcloop.streams import (
        StreamReader,
        StreamReaderProtocol,
        StreamWriter,
        open_connection,
        open_unix_connection,
        start_server,
        start_unix_server,
    )

__all__ = [
    "Event",
    "EventChannel",
    "EventLoopPolicy",
    "Loop",
    "Region",
    "RegionExhaustedError",
    "StreamReader",
    "StreamReaderProtocol",
    "StreamWriter",
    "ZeroCopyDatagramProtocol",
    "ZeroCopyProtocol",
    "ZeroCopySocket",
    "install",
    "new_event_loop",
    "open_connection",
    "open_unix_connection",
    "run",
    "start_server",
    "start_unix_server",
    "trace_leases",
]
__version__ = "0.1.0"


# The modules that a program may use without importing them: `zcloop.files.open`.
_MODULES = ("files", "message_queues", "requests", "streams", "sync", "testing")


def __getattr__(name: str) -> _Any:
    """Modules and streams, imported when they are first asked for: not every program has any."""
    if name in _MODULES:
        return _import_module(f"zcloop.{name}")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from zcloop import streams

    found = globals()[name] = getattr(streams, name)
    return found
