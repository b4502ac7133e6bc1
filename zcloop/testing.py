"""For the tests of programs that take leases: a pytest fixture, and what it is made of.

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
from zcloop._native.memory.regions import all_leases


def leases_out() -> list[int]:
    """Addresses of what is lent or reserved now, of every region in the process."""
    return [lease["address"] for lease in all_leases()]


def assert_no_leases(but: Collection[int] = ()) -> None:
    """AssertionError if anything is lent or reserved in any region of the process, which names
    owner, size, age and, while traced, place of each; `but` are addresses that do not count.

    What only the garbage collector would give back is collected first.
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
    """The test fails if a lease that it made is still out when it ends.

    Leases are traced meanwhile: a view that was collected and not released is a ResourceWarning.
    """
    before = leases_out()
    tracing = trace_leases("full")
    try:
        yield
        assert_no_leases(before)
    finally:
        trace_leases(tracing)
