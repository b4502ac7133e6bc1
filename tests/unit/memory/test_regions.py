"""Which regions a process has: those that it made, as long as they live."""

import pytest
from forks import IN_CHILD
from peers import script

import zcloop
from zcloop._native.memory.regions import all_leases

pytestmark = pytest.mark.zcloop_only


def addresses():
    return {lease["address"] for lease in all_leases()}


def test_what_is_out_of_every_region_is_listed():
    with zcloop.Region(1 << 16) as one, zcloop.Region(1 << 16) as other:
        before = addresses()
        with one.reserve(100), other.reserve(100):
            assert len(addresses() - before) == 2
        assert addresses() == before


def test_a_region_is_listed_as_long_as_a_view_of_it_is_there():
    before = addresses()
    view = zcloop.Region(1 << 16).reserve(100)
    assert len(addresses() - before) == 1
    view.release()
    assert addresses() == before


def test_a_forked_child_lists_its_own_regions_only():
    source = (
        IN_CHILD
        + """
import zcloop
from zcloop._native.memory.regions import all_leases

region = zcloop.Region(1 << 16)
view = region.reserve(100)

def child():
    assert all_leases() == []
    try:
        region.reserve(1)
    except RuntimeError:
        pass
    else:
        raise AssertionError("the parent's region was used")
    with zcloop.Region(1 << 16).reserve(200):
        (lease,) = all_leases()
        assert lease["size"] == 200

ended(in_child(child))
assert len(all_leases()) == 1
view[0] = 1
"""
    )
    assert script(source) == ""


def test_a_grandchild_has_what_its_parent_made_as_ended_too():
    source = (
        IN_CHILD
        + """
import zcloop

region = zcloop.Region(1 << 16)
view = region.reserve(100)

def is_ended(one):
    try:
        one[0]
    except ValueError:
        return True
    return False

def child():
    own = zcloop.Region(1 << 16).reserve(100)

    def grandchild():
        assert is_ended(view) and is_ended(own)

    ended(in_child(grandchild))
    assert is_ended(view) and not is_ended(own)

ended(in_child(child))
assert not is_ended(view)
"""
    )
    assert script(source) == ""
