"""Memory: what RLIMIT_MEMLOCK leaves for rings and lent memory, and huge pages.

The kernel charges to RLIMIT_MEMLOCK what is pinned as a registered buffer: the first region of a
loop's pool of lent memory. Since 6.13 it charges a ring, too. The charge is the user's, of all
processes together, and shown nowhere. So it is measured: as much memory is pinned as the kernel
allows, for a moment, with and without a loop's ring beside it.
"""

from __future__ import annotations

import contextlib
import mmap
import struct
from dataclasses import dataclass

from zcloop.doctor.access import LOOP_COMPLETIONS, LOOP_ENTRIES, is_memory_limited
from zcloop.doctor.probe_ring import ProbeRing, RefusedError, address_of
from zcloop.doctor.surroundings import Surroundings
from zcloop.doctor.system_calls import SystemCalls

POOL_SIZE = 1536 * 1024
"""Bytes of the region that a loop pins when it first lends memory."""

# The most that is tried: it is enough for 42 loops, and to pin it takes 2 ms (0.03 ms a MiB).
_PINNED_MAX = 64 * 1024 * 1024
_STEP = mmap.PAGESIZE

# The oldest way to register buffers, since the kernel waits for its end. Buffers that are taken
# out of a table one by one are still charged for up to a second before Linux 6.3.
_REGISTER_BUFFERS, _UNREGISTER_BUFFERS = 0, 1


@dataclass(frozen=True)
class Memory:
    """Sizes in bytes; None where something is not limited, or not known."""

    memlock_soft: int | None
    memlock_hard: int | None
    is_limited: bool
    """Whether the limit counts for this process: CAP_IPC_LOCK lifts it."""
    pinnable: int | None
    """What could be pinned now, at most 64 MiB; None where there is no limit, or no ring."""
    ring_charge: int | None
    """What a loop's ring is charged; None as above."""
    lending_loops: int | None
    """How many more loops have room for a ring and a pinned pool."""
    transparent_huge_pages: str | None
    huge_page_size: int | None
    huge_pages_free: int | None


def look(calls: SystemCalls, around: Surroundings, has_ring: bool) -> Memory:
    """Read the limits, and measure what can be pinned, if a ring can be had."""
    soft, hard = around.memlock
    is_limited = is_memory_limited(around)
    pinnable = charge = loops = None
    if is_limited and has_ring:
        pinnable, charge = _measure(calls, min(soft or 0, _PINNED_MAX))
        if pinnable is not None:
            loops = pinnable // (POOL_SIZE + (charge or 0))
    return Memory(
        soft,
        hard,
        is_limited,
        pinnable,
        charge,
        loops,
        _chosen(around.read("sys/kernel/mm/transparent_hugepage/enabled")),
        around.memory.get("Hugepagesize"),
        around.memory.get("HugePages_Free"),
    )


def _chosen(modes: str | None) -> str | None:
    """`madvise` of "always [madvise] never"."""
    if modes is None or "[" not in modes:
        return None
    return modes.partition("[")[2].partition("]")[0]


def _measure(calls: SystemCalls, limit: int) -> tuple[int | None, int | None]:
    """What can be pinned, and what a loop's ring takes of it."""
    try:
        with ProbeRing(calls) as ring:
            memory = ring.hold(mmap.mmap(-1, max(limit, _STEP)))
            # A huge page is charged whole, however little of it is pinned.
            with contextlib.suppress(OSError):  # a kernel without them
                memory.madvise(mmap.MADV_NOHUGEPAGE)
            alone = _largest(ring, memory, limit)
            try:
                with ProbeRing(calls, LOOP_ENTRIES, LOOP_COMPLETIONS):
                    return alone, alone - _largest(ring, memory, limit)
            except RefusedError:
                return alone, None
    except OSError:  # RefusedError is one; or there is no address space
        return None, None


def _largest(ring: ProbeRing, memory: mmap.mmap, limit: int) -> int:
    """The largest size that the kernel pins, to a page; nothing is pinned at the end."""
    fits, fails = 0, limit // _STEP + 1
    while fails - fits > 1:
        middle = (fits + fails) // 2
        vector = struct.pack("@PN", address_of(memory), middle * _STEP)
        if ring.register(_REGISTER_BUFFERS, vector, 1) < 0:
            fails = middle
        else:
            fits = middle
            ring.register(_UNREGISTER_BUFFERS, None, 0)
    return fits * _STEP
