"""Each test of CPython that passes on asyncio's selector loop passes on zcloop.

One test for each module of `test.test_asyncio`; the modules run in the background, so that the
first test waits for its own module only. In the environment, ZCLOOP_CONFORMANCE_FACTORY names
another loop (`module:callable`), ZCLOOP_CONFORMANCE_JOBS how many modules run at a time (2).
`run.py` in this directory does the same from the command line, with whole tracebacks.
"""

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
import run
from harness import modules
from harness.verdict import Verdict, judge

if not modules.suite_is_installed():
    pytest.skip("this Python comes without test.test_asyncio", allow_module_level=True)


@pytest.fixture(scope="module")
def verdicts(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Verdict]]]:
    """A future verdict for each module that pytest has selected."""
    factory = os.environ.get("ZCLOOP_CONFORMANCE_FACTORY", run.DEFAULT_FACTORY)
    jobs = int(os.environ.get("ZCLOOP_CONFORMANCE_JOBS", "2"))
    options = run.parse(["--factory", factory])
    selected = [
        item.callspec.params["module"]
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and item.originalname == test_module_passes_what_the_selector_loop_passes.__name__
    ]
    pool = ThreadPoolExecutor(jobs)
    yield {name: pool.submit(judge, run.order_for(name, options)) for name in selected}
    pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("module", modules.present())
def test_module_passes_what_the_selector_loop_passes(
    module: str, verdicts: dict[str, Future[Verdict]]
) -> None:
    verdict = verdicts[module].result()
    if not verdict.is_good:
        pytest.fail(run.describe(verdict, verbose=False), pytrace=False)
