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
    from zcloop._native.memory.lender import trace_leases
except ModuleNotFoundError as _error:
    if _error.name != "zcloop._native":
        raise
    raise ImportError(
        f"{__path__[0]} is zcloop's source, which has no compiled part, and hides the zcloop that "
        "is installed: leave that folder, or run python -P"
    ) from None
from zcloop._native.memory.region import Region, RegionExhaustedError
from zcloop._native.transport.zero_copy import ZeroCopyDatagramProtocol, ZeroCopyProtocol
from zcloop.loop import Loop, new_event_loop
from zcloop.loop._policy import EventLoopPolicy, install, run

if _TYPE_CHECKING:
    from zcloop import files as files
    from zcloop import message_queues as message_queues
    from zcloop import requests as requests
    from zcloop import streams as streams
    from zcloop import sync as sync
    from zcloop import testing as testing
    from zcloop import transports as transports
    from zcloop._native.events.event import Event
    from zcloop.event_channel import EventChannel
    from zcloop.streams import (
        StreamReader,
        StreamReaderProtocol,
        StreamWriter,
        open_connection,
        open_unix_connection,
        start_server,
        start_unix_server,
    )
    from zcloop.zero_copy_socket import ZeroCopySocket

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


# What not every program has is imported when it is first asked for: these modules, as in
# `zcloop.files.open`, and these names, each with the module that it is in.
_MODULES = (
    "event_channel",
    "files",
    "message_queues",
    "requests",
    "streams",
    "sync",
    "testing",
    "transports",
    "zero_copy_socket",
)
_PLACES = {
    "Event": "zcloop._native.events.event",
    "EventChannel": "zcloop.event_channel",
    "StreamReader": "zcloop.streams",
    "StreamReaderProtocol": "zcloop.streams",
    "StreamWriter": "zcloop.streams",
    "ZeroCopySocket": "zcloop.zero_copy_socket",
    "open_connection": "zcloop.streams",
    "open_unix_connection": "zcloop.streams",
    "start_server": "zcloop.streams",
    "start_unix_server": "zcloop.streams",
}


def __getattr__(name: str) -> _Any:
    """The modules and names above. AttributeError for another name."""
    if name in _MODULES:
        return _import_module(f"zcloop.{name}")
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(_import_module(_PLACES[name]), name)
    return found


def __dir__() -> list[str]:
    """For editors and shells: what is not imported yet, too. `help()` asks for all of it, so that
    `testing` is left out, which needs pytest."""
    return sorted(({*globals(), *_MODULES, *_PLACES}) - {"testing"})
