"""How slow, and how coarse, things may be here, as under the kernels of tests/kernels."""

import os
import time

# How many times as long as on a machine things may take.
SLOWNESS = float(os.environ.get("ZCLOOP_TEST_SLOWNESS", "1"))


def cpu_clock_is_fine() -> bool:
    """Whether a thread's CPU time goes by in steps of less than 1 ms, and not in ticks of 10."""
    before = time.thread_time()
    while (now := time.thread_time()) == before:
        pass
    return now - before < 0.001
