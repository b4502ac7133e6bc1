"""What makes zcloop's system calls in a test: zcloop itself, or C liburing where it is installed.

`make test` runs the suite as most programs run, without liburing, and `make conformance` with it.
What depends on it (tests of ring and channel) is run in both ways by any run, in processes of its
own: tests/unit/ring/test_liburing.py, tests/unit/channel/test_switches.py.
"""

from __future__ import annotations

import importlib.util

import pytest

IS_LIBURING_INSTALLED = importlib.util.find_spec("liburing") is not None
needs_liburing = pytest.mark.skipif(
    not IS_LIBURING_INSTALLED, reason="python-liburing is not installed: pip install liburing"
)
EITHER = [
    pytest.param("direct", id="direct"),
    pytest.param("wheel", id="liburing", marks=needs_liburing),
]
