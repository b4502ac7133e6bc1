"""The loop, and what makes one. The modules beside are private: one for each of its jobs."""

from zcloop.loop._loop import Loop, new_event_loop

__all__ = ["Loop", "new_event_loop"]

Loop.__module__ = __name__  # where programs find it, and what its repr says
