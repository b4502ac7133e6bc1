"""zcloop: an asyncio event loop for Linux whose selector is one io_uring channel.

Swap it in with one line: `zcloop.run(main())`, or `loop_factory=zcloop.new_event_loop`.
"""

import sys as _sys

if _sys.platform != "linux":
    raise ImportError("zcloop is built on io_uring and runs on Linux only")

from zcloop._native.channel.event import Event
from zcloop._native.memory.lender import trace_leases
from zcloop._native.memory.region import Region, RegionExhaustedError
from zcloop._native.transport.zero_copy import ZeroCopyDatagramProtocol, ZeroCopyProtocol
from zcloop.event_channel import EventChannel
from zcloop.loop import Loop, new_event_loop
from zcloop.policy import EventLoopPolicy, install, run
from zcloop.zero_copy_socket import ZeroCopySocket

__all__ = [
    "Event",
    "EventChannel",
    "EventLoopPolicy",
    "Loop",
    "Region",
    "RegionExhaustedError",
    "ZeroCopyDatagramProtocol",
    "ZeroCopyProtocol",
    "ZeroCopySocket",
    "install",
    "new_event_loop",
    "run",
    "trace_leases",
]
__version__ = "0.1.0"
