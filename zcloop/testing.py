"""For tests of programs that take leases: a pytest fixture, and the two functions it uses.

    pytest_plugins = ["zcloop.testing"]                  # in conftest.py, or
    from zcloop.testing import no_leaked_leases

A test that asks for `no_leaked_leases` fails if it leaves a lease out.
"""

from __future__ import annotations

import gc
from collections.abc import Collection, Iterator
from typing import Any

import pytest

from zcloop._native.memory.lender import trace_leases
from zcloop._native.memory.region import all_leases


def leases_out() -> list[int]:
    """Addresses of the blocks that are lent or reserved now, in every region of the process."""
    return [lease["address"] for lease in all_leases()]


def assert_no_leases(but: Collection[int] = ()) -> None:
    """AssertionError if anything is lent or reserved in any region of the process.

    Its message has owner, size and age of each lease, and its place while leases are traced. The
    addresses in `but` do not count. Leases that only the garbage collector would give back are
    collected first.
    """
    gc.collect()
    leaked = [lease for lease in all_leases() if lease["address"] not in but]
    if leaked:
        raise AssertionError("\n".join([f"{len(leaked)} leases leaked:", *map(_describe, leaked)]))


def _describe(lease: dict[str, Any]) -> str:
    place = f", received by {lease['place']}" if lease["place"] else ""
    owner = lease["owner"] or "a reservation"
    return f"  {lease['size']} bytes held by {owner} for {lease['age']:.3f} s{place}"


@pytest.fixture
def no_leaked_leases() -> Iterator[None]:
    """A fixture: the test fails if a lease that it made is still out when it ends.

    Leases are traced during the test, so a view that is collected without having been released is
    a ResourceWarning.
    """
    before = leases_out()
    tracing = trace_leases("full")
    try:
        yield
        assert_no_leases(before)
    finally:
        trace_leases(tracing)
