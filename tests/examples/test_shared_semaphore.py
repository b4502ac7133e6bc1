"""shared_semaphore.py: all items arrive, also through a single slot."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "examples" / "shared_semaphore.py"
LOOP = os.environ.get("ZCLOOP_TEST_LOOP", "zcloop:new_event_loop")


@pytest.mark.skipif(not LOOP.startswith("zcloop:"), reason="zcloop.sync waits on zcloop only")
@pytest.mark.parametrize(("items", "slots"), [(10_000, 16), (2_000, 1), (0, 4)])
def test_all_items_arrive(items, slots):
    done = subprocess.run(
        [sys.executable, "-P", "-W", "error", EXAMPLE, f"--items={items}", f"--slots={slots}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.match(rf"{items} items through {slots} slots, all there; \d+% of a CPU", done.stdout)
