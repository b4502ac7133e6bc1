"""CPython's own tests of streams, with zcloop's streams in the place of asyncio's.

`run.py --native-streams --modules streams` does the same, with whole tracebacks; the list of what
is not passed is empty.
"""

import subprocess
import sys

import pytest
import run
from harness import modules
from harness.process import CONFORMANCE
from harness.reports import Order
from harness.verdict import judge

if not modules.suite_is_installed():
    pytest.skip("this Python comes without test.test_asyncio", allow_module_level=True)


@pytest.mark.parametrize("factory", [run.DEFAULT_FACTORY, "asyncio:SelectorEventLoop"])
def test_native_streams_pass_what_the_streams_of_asyncio_pass(factory: str) -> None:
    verdict = judge(Order("test_streams", factory, native_streams=True))
    if not verdict.is_good:
        pytest.fail(run.describe(verdict, verbose=True), pytrace=False)


def test_they_are_the_streams_under_test() -> None:
    script = (
        "import asyncio, zcloop; from harness import native_streams; native_streams.put_in_place();"
        "print([name for name in zcloop.streams.__all__"
        " if getattr(asyncio, name) is not getattr(zcloop, name)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=CONFORMANCE, capture_output=True, text=True, timeout=30
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
