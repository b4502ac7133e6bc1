"""Whether a datagram socket is flooded, one way, so that what comes may gather (`Coalescing`).

Datagrams are counted in runs of 256. A run is a flood if it takes at most 2.56 ms, which is 100
datagrams in a millisecond, and if at most one datagram was sent for eight that came. A peer that
waits for answers has few datagrams under way, and would be kept waiting. What gathers during the
longest sleep may fill at most half of the socket's buffer: this is to fit.

    state     what happens                                      then      next distance
    apart     a flood, but fewer in a row than the distance     apart     same
    apart     a full distance of floods, which fits             joined    -
    apart     a full distance of floods, which does not fit     apart     same
    apart     a run that is no flood                            apart     same
    joined    a flood that fits                                 joined    -
    joined    no flood, in less than 16 runs                    apart     doubled
    joined    no flood, after 16 runs                           apart     shortest
    joined    a pause, in less than 16 runs                     apart     doubled
    joined    a pause, after 16 runs                            apart     shortest
    joined    the epoch ends, in less than 16 runs              apart     doubled

The distance is 4 to 4,096 floods in a row. A run that is no flood begins the count anew.
"""

cimport cython
from libc.stdint cimport int64_t, uint64_t

from zcloop._native.kernel.sockets cimport receive_buffer_size
from zcloop._native.pacing.distance cimport next_distance

# Datagrams: a clock is read once for as many, so that it costs less than a nanosecond for each.
cdef unsigned RUN = 256
# 10 us for each datagram: then a sleep of 50 us gathers five, which is more than `FEW`.
cdef int64_t FLOOD_NS = RUN * 10000
# One for eight: who acknowledges at intervals sends fewer, who answers sends more
# (test_who_may_wait_for_answers_is_not_kept_waiting).
cdef unsigned SENT_MAX = RUN // 8
# Floods in a row: 1,024 datagrams, which take 10 ms at most, show that it is no burst.
cdef unsigned DISTANCE_MIN = 4
# Floods in a row: a million datagrams, of which a flow that halts again and again delays one.
cdef unsigned DISTANCE_MAX = 4096
# Floods while it was joined, after which having joined was worth the datagram that came late.
cdef unsigned WORTHWHILE_RUNS = 16
# Timer slack of a thread whose slack nobody has changed.
cdef int64_t SLACK_NS = 50000
# Bytes that the kernel counts for a datagram beside its payload, at most: 768 for a small one on
# x86-64 (`skb->truesize`).
cdef uint64_t OVERHEAD = 1024


@cython.final
@cython.no_gc
cdef class DatagramFlow:
    def __cinit__(self, Coalescing coalescing not None, int fd, int64_t now):
        self.coalescing = coalescing
        self.fd = fd
        self.run_start_ns = now
        self.run_left = RUN
        self.distance = DISTANCE_MIN

    cpdef void advance(self, int64_t now) noexcept:
        """A run is over, at this time."""
        cdef int64_t run_ns = now - self.run_start_ns
        cdef bint is_flood = run_ns <= FLOOD_NS and self.run_sent <= SENT_MAX
        if self.epoch == self.coalescing.epoch and is_flood and self.fits(run_ns):
            self.floods += 1
        else:
            self.leave()
            self.floods = self.floods + 1 if is_flood else 0
            if self.floods >= self.distance and self.coalescing.limit_us:
                self.try_to_join(run_ns, now)
        self.run_start_ns = now
        self.run_left = RUN
        self.run_sent = 0
        self.run_size = 0

    cdef void try_to_join(self, int64_t run_ns, int64_t now) noexcept:
        self.buffer_size = receive_buffer_size(self.fd)
        if self.fits(run_ns):
            self.floods = 0
            self.epoch = self.coalescing.join(now)

    cpdef void leave(self) noexcept:
        """The flood has come to a halt, or is received no more. Idempotent."""
        if self.epoch == 0:
            return
        if self.epoch == self.coalescing.epoch:
            self.coalescing.flows -= 1
        self.epoch = 0
        self.distance = <unsigned> next_distance(self.distance, self.floods >= WORTHWHILE_RUNS,
                                                 DISTANCE_MIN, DISTANCE_MAX)
        self.floods = 0

    cdef bint fits(self, int64_t run_ns) noexcept:
        """Whether the socket holds twice what comes during the longest sleep, at this rate."""
        cdef uint64_t wait_ns = self.coalescing.limit_us * <int64_t> 1000 + SLACK_NS
        cdef uint64_t run_size = self.run_size + RUN * OVERHEAD
        return 2 * run_size * wait_ns <= <uint64_t> self.buffer_size * <uint64_t> max(run_ns, 1)
