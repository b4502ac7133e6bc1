import asyncio
import concurrent.futures
from typing import Any

from typing_extensions import disjoint_base

from zcloop._native.loop.scheduler import Scheduler

@disjoint_base
class ExecutorCall:
    def __call__(self, done: Any = None) -> None: ...

def wrap_future(
    loop: Scheduler, source: concurrent.futures.Future[Any] | asyncio.Future[Any]
) -> asyncio.Future[Any]: ...
