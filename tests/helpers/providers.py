"""What makes zcloop's system calls in a test: zcloop itself, or C liburing where it is installed.

`make test` runs the suite without liburing, as most programs run; `make conformance` runs with it.
Tests of the ring and the channel depend on it. tests/unit/ring/test_liburing.py and
tests/unit/channel/test_switches.py run them both ways, in processes of their own.
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
