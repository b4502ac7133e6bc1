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
    "without-receive": (["multishot_receive"], [], False),
    "without-message": (["multishot_message"], [], False),
    "without-accept": (["multishot_accept"], [], False),
    "without-all": (FORMS, [], False),
    "refused": ([], FORMS, False),
    "no-buffer-rings": ([], ["multishot_accept"], True),
}
if not LOOP_NAME.startswith("zcloop"):
    MODES = {LOOP_NAME: ([], [], False)}


@pytest.fixture(autouse=True, params=MODES.values(), ids=MODES.keys())
def kernel(request: pytest.FixtureRequest) -> tuple:
    return request.param


@pytest.fixture
def loop_factory(kernel: tuple) -> Iterator[Callable]:
    without, refused, buffer_rings = kernel
    make = pkgutil.resolve_name(LOOP_NAME)

    def factory():
        loop = make()
        for form in without:
            setattr(loop.channel, f"has_{form}", False)
        return loop

    with contextlib.ExitStack() as stack:
        if refused:
            stack.enter_context(refusing(refused, buffer_rings))
        yield factory
