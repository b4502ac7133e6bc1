"""Waits for sockets that end in the middle of looking for closed ones."""

import asyncio
import contextlib

import pytest
from peers import io_passed, unix_pair

import zcloop


class Interrupted(zcloop.Loop):
    """Where a callback is scheduled, something else ends, as when the collector runs there."""

    forgotten: list | None = None

    def call_soon(self, callback, *args, context=None):
        if self.forgotten:
            self.forgotten.clear()
        return super().call_soon(callback, *args, context=context)


@pytest.mark.zcloop_only  # it is about how ours looks
def test_waits_that_end_while_closed_ones_are_woken():
    async def main():
        with contextlib.ExitStack() as stack:
            closed, tasks, forgotten = [], [], []
            for _ in range(50):
                one, _ = stack.enter_context(unix_pair())
                other, _ = stack.enter_context(unix_pair())
                waiting = loop.sock_recv(other, 1)
                waiting.send(None)
                forgotten.append(waiting)
                closed.append(one)
                tasks.append(loop.create_task(loop.sock_recv(one, 1)))
                await io_passed()
            del waiting
            for one in closed:
                one.close()
            loop.forgotten = forgotten
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert forgotten == []
            assert all(isinstance(result, (OSError, ValueError)) for result in results)

    loop = Interrupted()
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()
