"""What a loop tells of itself: its backend and features, its counters, and what it has lent.

The annotations are no strings here: TypedDict would compile each of them when it is imported.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NotRequired, TypedDict

from zcloop._native.channel.channel import FEATURES


class Statistics(TypedDict):
    """What `Loop.statistics()` returns: a dict of ints.

    Counters and times go from when the loop was made; the rest is as it is now. The keys that begin
    with `pool_` are there once the loop has lent memory: sums over the regions of its pool.
    """

    turns: int
    """Turns of the loop."""
    sleeps: int
    """Turns that slept in the kernel."""
    spins: int
    """Sleeps that polling saved: a completion came first."""
    spun_ns: int
    """Nanoseconds that polling took; part of `awake_ns`."""
    coalesced_sleeps: int
    """Sleeps that a flood of datagrams made longer."""
    asleep_ns: int
    """Nanoseconds asleep in the kernel, in runs of the loop."""
    awake_ns: int
    """Nanoseconds of the loop's runs that are left: callbacks, system calls, polling."""
    enters: int
    """Calls of the ring that submit or wait; over io_uring each is one system call."""
    submissions: int
    """Requests given to the kernel."""
    completions: int
    """Completions that came back."""
    received_bytes: int
    """Bytes that transports received."""
    sent_bytes: int
    """Bytes that transports sent."""
    copied_bytes: int
    """The part of the two that was copied in user space, in bytes."""
    lent_bytes: int
    """Bytes that were lent in place from the loop's pool."""
    starved_bytes: int
    """The part of `copied_bytes` that was copied because no block was free."""

    inflight: int
    """Requests that the kernel has."""
    operations: int
    """Operations that the loop holds: in flight, parked, or completed and not yet dispatched."""
    transports: int
    """Open transports."""
    ready: int
    """Callbacks that wait for their turn."""
    timers: int
    """Timers that are not due yet."""
    slots: int
    """Slots of 16 KiB to receive into; 0 before the first connection."""
    slots_lent: int
    """Slots that are not with the kernel."""
    pinned: int
    """Bytes of regions that are registered with the kernel."""
    notifying: int
    """Sends without a copy whose memory the network still uses."""
    quarantined: int
    """Sends without a copy whose memory is kept for good: the network never said it was done."""
    paused_holders: int
    """Transports that are not read from until leases come back."""

    pool_regions: NotRequired[int]
    """Regions of the pool."""
    pool_limit: NotRequired[int]
    """Bytes to which the pool may grow."""
    pool_growths: NotRequired[int]
    """Times that the pool grew."""
    pool_refusals: NotRequired[int]
    """Times that the pool could not give memory."""
    pool_size: NotRequired[int]
    """Bytes of the pool."""
    pool_free: NotRequired[int]
    """Bytes of it that are free."""
    pool_used_max: NotRequired[int]
    """The most bytes that were ever out."""
    pool_kernel: NotRequired[int]
    """Bytes that the kernel receives into."""
    pool_kernel_blocks: NotRequired[int]
    """The same in blocks."""
    pool_lease: NotRequired[int]
    """Bytes that are lent to protocols."""
    pool_lease_blocks: NotRequired[int]
    """The same in blocks."""
    pool_reserve: NotRequired[int]
    """Bytes that the program has reserved."""
    pool_reserve_blocks: NotRequired[int]
    """The same in blocks."""


class Telling:
    """What zcloop.Loop tells of itself."""

    channel: Any
    native_transports: Any
    counters: Any

    @property
    def backend(self) -> Literal["uring", "epoll"]:
        """What carries out the loop's requests: io_uring, or zcloop itself by epoll."""
        backend: Literal["uring", "epoll"] = self.channel.ring.backend
        return backend

    @property
    def features(self) -> Mapping[str, bool]:
        """What this loop makes use of, as far as has been found out; a read-only mapping.

        It is a picture of now: a kernel may refuse a feature later, which is False from then on.
        `python -m zcloop doctor` says since which kernel there is each, and what happens without
        it. ZCLOOP_WITHOUT turns off what it names.
        """
        channel = self.channel
        return MappingProxyType({name: bool(getattr(channel, f"has_{name}")) for name in FEATURES})

    def statistics(self) -> Statistics:
        """Counters of the loop and of what it lends: a new dict, made without a system call.

        `zcloop.loop.Statistics` names the keys and their units. Not thread-safe. It works on a
        closed loop, too.
        """
        found: Statistics = self.counters()
        pool = self.channel.pool
        accounts = [one.lender.account for one in self.native_transports() if one.lender]
        found["paused_holders"] = sum(account.is_waiting for account in accounts)
        found["lent_bytes"] = found["starved_bytes"] = 0
        if pool is not None:
            of_pool: Any = {f"pool_{name}": value for name, value in pool.statistics().items()}
            found.update(of_pool)
            found["lent_bytes"] = pool.lent_bytes
            found["starved_bytes"] = pool.starved_bytes
            found["copied_bytes"] += pool.copied_bytes
        return found

    def leases(self) -> list[dict[str, Any]]:
        """What is out of the loop's pool and of associated regions, as a new list of dicts.

        Each dict has address, size, use, owner, age (seconds) and place, which is None unless
        leases are traced by `trace_leases("full")`. Of each region the newest comes first.
        """
        pool = self.channel.pool
        found: list[dict[str, Any]] = [] if pool is None else pool.leases()
        regions = {
            region
            for transport in self.native_transports()
            if transport.lender
            for region in transport.lender.regions
        }
        return found + [lease for region in regions for lease in region.leases()]

    def set_lease_pool_limit(self, size: int) -> None:
        """Bytes to which the pool of lent memory may grow (64 MiB at first). ValueError below 1.

        Memory that the pool has is kept. Where the limit is reached, what is received is copied.
        """
        if size < 1:
            raise ValueError("the limit is a number of bytes, at least 1")
        self.channel.lending_pool().limit = size
