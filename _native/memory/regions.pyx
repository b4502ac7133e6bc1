"""The regions of this process, and those that it inherited by a fork.

A forked child gets pages of zeros where the parent's regions were (MADV_WIPEONFORK), so that
pointers into them lead somewhere. Views of that memory count as released, so that using one is a
ValueError and does not show zeros. A region whose blocks are out stays in the child for good: an
array that is made on a view cannot be ended, and may point into it.
"""

import os
import weakref

_regions = weakref.WeakSet()
_inherited = []

cdef Abandon _abandon = NULL


cdef int abandon_by(Abandon abandon) except -1:
    """What a forked child is to do with each region: end its views, and say whether blocks of it
    are out. It is given by the module of regions, which this one cannot import: that imports it."""
    global _abandon
    _abandon = abandon
    return 0


cdef int add_region(object region) except -1:
    """It is listed for as long as it lives."""
    _regions.add(region)
    return 0


def all_leases():
    """What is out of every region of this process, the pools of loops included, as a list of the
    dicts that Region.leases() gives."""
    return [lease for region in list(_regions) for lease in region.leases()]


def _after_fork_in_child():
    for region in list(_regions):
        if _abandon(region):
            _inherited.append(region)
    _regions.clear()        # they are the parent's


os.register_at_fork(after_in_child=_after_fork_in_child)
