"""The loop, and what makes one. The modules beside are private: one for each of its jobs."""

from zcloop.loop._loop import Loop, new_event_loop
from zcloop.loop._statistics import Statistics

__all__ = ["Loop", "Statistics", "new_event_loop"]
