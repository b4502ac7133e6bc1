"""How many times as long as here things may take, as under an emulated kernel (tests/kernels)."""

import os

SLOWNESS = float(os.environ.get("ZCLOOP_TEST_SLOWNESS", "1"))
