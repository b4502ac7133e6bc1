"""A pytest plugin: puts a loop in place of asyncio's, and writes what came of each test.

It runs within the suite's own pytest (`python -m pytest -p recorder`) and is told by its
environment:

| variable          | meaning                                                                    |
|-------------------|----------------------------------------------------------------------------|
| `SUITE_OUTCOMES`  | the file that gets a line of JSON when a test starts, and when it has ended |
| `SUITE_FACTORY`   | `module:callable` that makes the loops; absent: asyncio's own              |
| `SUITE_RECORDED`  | present: tests that the file has already are not run again                 |

The lines are `{"event": "start", "id": ...}` and `{"event": "stop", "id": ..., "outcome": ...,
"detail": ..., "loops": ..., "strays": ...}`. A test that has started and not stopped ended its
process. `loops` counts the loops that the factory made since the last stop, `strays` the selector
loops that were made elsewhere (`conformance/harness/replacement.py` says how both come about).
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from harness import replacement

OUTCOMES = Path(os.environ["SUITE_OUTCOMES"])
FACTORY = os.environ.get("SUITE_FACTORY")

# Now, not in a hook: the suite's own plugins and conftest are imported after this module.
_count = replacement.install(replacement.resolve(FACTORY)) if FACTORY else replacement.LoopCount()
# The worst outcome of a test's three phases, setup, call and teardown, is the test's.
_RANK = ("passed", "xfailed", "skipped", "failed")
_current: dict[str, tuple[str, str]] = {}
_seen = replacement.LoopCount()


def _write(**fields: Any) -> None:
    with OUTCOMES.open("a") as out:
        out.write(json.dumps(fields) + "\n")


def _is_for_asyncio(item: pytest.Item) -> bool:
    """Whether the test runs on asyncio, and has not chosen another loop (anyio's tests do that)."""
    callspec = getattr(item, "callspec", None)
    backend = callspec.params.get("anyio_backend", "asyncio") if callspec else "asyncio"
    name, options = backend if isinstance(backend, tuple) else (backend, {})
    return name == "asyncio" and "loop_factory" not in options


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    done: set[str] = set()
    if "SUITE_RECORDED" in os.environ:
        done = {json.loads(line)["id"] for line in OUTCOMES.read_text().splitlines()}
    chosen = [item for item in items if item.nodeid not in done and _is_for_asyncio(item)]
    kept = set(map(id, chosen))
    config.hook.pytest_deselected(items=[item for item in items if id(item) not in kept])
    items[:] = chosen


def pytest_runtest_logstart(nodeid: str) -> None:
    _current[nodeid] = ("passed", "")
    _write(event="start", id=nodeid)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    outcome: str = report.outcome
    if outcome == "skipped" and hasattr(report, "wasxfail"):
        outcome = "xfailed"
    before, _ = _current.get(report.nodeid, ("passed", ""))
    if _RANK.index(outcome) > _RANK.index(before):
        _current[report.nodeid] = (outcome, f"{report.when}: {report.longreprtext}")


def pytest_runtest_logfinish(nodeid: str) -> None:
    outcome, detail = _current.pop(nodeid)
    loops, strays = _count.made - _seen.made, _count.strays - _seen.strays
    _seen.made, _seen.strays = _count.made, _count.strays
    _write(event="stop", id=nodeid, outcome=outcome, detail=detail, loops=loops, strays=strays)
