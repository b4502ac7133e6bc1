"""Runs the tests of one module in this process and reports them through a pipe.

Started by `supervision` as `python -m harness.worker REQUEST FD`. REQUEST is a JSON file:

| key            | meaning                                                                        |
|----------------|--------------------------------------------------------------------------------|
| `module`       | the test module, without its package                                           |
| `factory`      | `module:callable`, or null for the standard library's loop, untouched          |
| `only`         | ids to run, or null for all                                                    |
| `leave_out`    | ids not to run, even if they are in `only`                                     |
| `internals`    | whether to run the tests that `internals` lists, too                           |
| `pattern`      | a piece of the id, or null                                                     |
| `native_streams` | whether asyncio's streams are zcloop's (`native_streams`)                    |
| `test_timeout` | seconds without a start or stop until all stacks are written to `stacks`       |
| `scratch`      | working directory of the tests                                                 |
| `stacks`       | file for those stacks, and for those of a crash                                |

One JSON object a line goes to FD:

| event       | with                                                                              |
|-------------|-----------------------------------------------------------------------------------|
| `collected` | ids to run, in order, and ids left out                                            |
| `start`     | id                                                                                |
| `stop`      | id, outcome, detail, loops made, strays, seconds                                  |
| `trouble`   | detail of what belongs to no test: a fixture that failed, things left behind      |
| `finished`  |                                                                                   |

The worker never judges time itself: a test that hangs inside native code could not be interrupted
from here, and an alarm would disturb the tests that use one. Whoever reads FD kills the process
and starts another one for the rest.
"""

import ctypes
import faulthandler
import gc
import importlib
import json
import os
import signal
import sys
import unittest
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

from harness import internals, native_streams, props, replacement
from harness.modules import PACKAGE, short_id
from harness.reporter import Reporter


def flatten(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    """Yield the tests of nested suites in order."""
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from flatten(item)
        else:
            yield item


def _load(request: SimpleNamespace) -> unittest.TestSuite:
    module = importlib.import_module(f"{PACKAGE}.{request.module}")
    if request.factory is not None:
        props.swap(module)
    return unittest.defaultTestLoader.loadTestsFromModule(module)


def _select(request: SimpleNamespace) -> tuple[list[unittest.TestCase], list[str]]:
    """Return the tests to run, in the module's order so that class fixtures run once, and the ids
    that are left out."""
    only = None if request.only is None else frozenset(request.only)
    leave_out = frozenset(request.leave_out)
    tests, left_out = [], []
    for test in flatten(_load(request)):
        test_id = short_id(test)
        if only is not None and test_id not in only:
            continue
        if request.pattern is not None and request.pattern not in test_id:
            continue
        if test_id in leave_out or (not request.internals and internals.is_internal(test)):
            left_out.append(test_id)
        else:
            tests.append(test)
    return tests, left_out


def _put_in_place(factory: str | None) -> replacement.LoopCount:
    if factory is None:
        return replacement.LoopCount()
    make_loop = replacement.resolve(factory)
    make_loop().close()  # what a loop opens once for the whole process is not a leftover
    return replacement.install(make_loop)


def _run(request: SimpleNamespace, reporter: Reporter) -> None:
    tests, left_out = _select(request)
    ids = [short_id(test) for test in tests]
    reporter.send("collected", tests=ids, left_out=left_out)
    suite = unittest.TestSuite(tests)
    del tests  # the suite lets go of each test once it has run
    suite.run(reporter)
    reporter.report_unstarted(ids)
    gc.collect()
    for line in reporter.leftovers.found():
        reporter.send("trouble", detail=f"left behind: {line}")
    reporter.send("finished")


def _die_with_parent() -> None:
    """End this worker when its supervisor dies: it could hang for ever."""
    pr_set_pdeathsig = 1  # prctl(2)
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def main(request_path: str, report_fd: str) -> None:
    _die_with_parent()
    # A shell ignores Ctrl-C for what it starts in the background; tests of Ctrl-C then never end.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    request = SimpleNamespace(**json.loads(Path(request_path).read_text()))
    os.set_inheritable(int(report_fd), False)
    count = _put_in_place(request.factory)
    if request.native_streams:
        native_streams.put_in_place()
    os.chdir(request.scratch)
    from test import support  # type: ignore[import-not-found]

    support.verbose = 0
    # Never closed: faulthandler writes to this descriptor until the interpreter is gone.
    stacks = open(request.stacks, "w")  # noqa: SIM115
    faulthandler.enable(file=stacks)
    with open(int(report_fd), "w") as out:
        _run(request, Reporter(out, count, request.test_timeout, stacks))


if __name__ == "__main__":
    main(*sys.argv[1:])
