"""The application for hypercorn, which knows no loop but asyncio's, uvloop's and trio's.

It loads the application before it makes a loop; so importing this sets a policy, whose loop is the
one that ZCLOOP_TEST_LOOP names.
"""

from __future__ import annotations

import asyncio
import os
import pkgutil

from asgi_application import application

__all__ = ["application"]


class Policy(asyncio.DefaultEventLoopPolicy):
    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return pkgutil.resolve_name(os.environ["ZCLOOP_TEST_LOOP"])()


asyncio.set_event_loop_policy(Policy())
