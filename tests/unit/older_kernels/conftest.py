"""Each test here runs as on several older kernels: told so from the start (`without`), or found
out by the first refusal (`refused`). On another loop it runs once, as the reference."""

from __future__ import annotations

import contextlib
import pkgutil
from collections.abc import Callable, Iterator

import pytest
from peers import LOOP_NAME
from refusals import FORMS, refusing

MODES = {
    "without-receive": {"without": ["multishot_receive"]},
    "without-message": {"without": ["multishot_message"]},
    "without-all": {"without": FORMS},
    "refused": {"refused": FORMS},
    "no-buffer-rings": {"refused": [], "buffer_rings": True},
    # No older kernel: one that is short of memory for completions.
    "shortened": {"refused": ["multishot_receive"], "is_shortened": True},
}
if not LOOP_NAME.startswith("zcloop"):
    MODES = {LOOP_NAME: {}}


@pytest.fixture(autouse=True, params=MODES.values(), ids=MODES.keys())
def kernel(request: pytest.FixtureRequest, backend: str) -> dict:
    if "refused" in request.param and backend == "epoll":
        pytest.skip("there is no uring here that could be refused anything")
    return request.param


@pytest.fixture
def loop_factory(kernel: dict) -> Iterator[Callable]:
    options = dict(kernel)
    without = options.pop("without", ())
    make = pkgutil.resolve_name(LOOP_NAME)

    def factory():
        loop = make()
        for form in without:
            setattr(loop.channel, f"has_{form}", False)
        return loop

    with contextlib.ExitStack() as stack:
        if options:
            stack.enter_context(refusing(options.pop("refused"), **options))
        yield factory
