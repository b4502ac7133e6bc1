"""The loop, and what makes one. The modules beside are private: one for each of its jobs."""

from zcloop.loop._loop import Loop, new_event_loop
from zcloop.loop._statistics import Statistics

__all__ = ["Loop", "Statistics", "new_event_loop"]

Loop.__module__ = Statistics.__module__ = __name__  # where programs find them, and what repr says
