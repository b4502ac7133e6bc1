"""loop.statistics(): what a loop has done, and how long it took."""

import asyncio
import time

import pytest

pytestmark = pytest.mark.zcloop_only


def test_time_asleep_and_awake(loop):
    loop.run_until_complete(asyncio.sleep(0.1))
    before = loop.statistics()
    assert 0.09e9 < before["asleep_ns"] < 0.5e9
    time.sleep(0.1)  # between two runs it is neither

    async def busy():
        end = time.thread_time() + 0.1
        while time.thread_time() < end:
            pass
        return loop.statistics()["awake_ns"]

    awake = loop.run_until_complete(busy())
    after = loop.statistics()
    assert after["asleep_ns"] - before["asleep_ns"] < 0.05e9
    assert awake - before["awake_ns"] >= 0.1e9
    assert awake <= after["awake_ns"]
    time.sleep(0.05)
    assert loop.statistics()["awake_ns"] == after["awake_ns"]
