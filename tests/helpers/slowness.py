"""How slow this machine may be, and how coarse its clocks. tests/kernels runs on slow ones."""

import os
import time

# By how much limits of time are multiplied.
SLOWNESS = float(os.environ.get("ZCLOOP_TEST_SLOWNESS", "1"))


def cpu_clock_is_fine() -> bool:
    """Whether a thread's CPU time goes by in steps of less than 1 ms, and not in ticks of 10."""
    before = time.thread_time()
    while (now := time.thread_time()) == before:
        pass
    return now - before < 0.001
