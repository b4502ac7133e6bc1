"""Whether a datagram socket is flooded, one way, so that what comes may gather (`Coalescing`).

Messages are counted in runs of 256. A run is a flood when it takes no longer than 2.56 ms, which is
100 messages a millisecond, and when at most one was sent for eight that came: who waits for answers
has few under way, and would be kept waiting. Four such runs in a row, and the flow joins, if what
gathers takes no more than half of the socket's buffer; a run that is none, or a pause, and it has
left. One that leaves before it has brought sixteen more has to prove itself for twice as long the
next time, up to a million messages.
"""

cimport cython
from libc.stdint cimport int64_t, uint64_t

from zcloop._native.kernel.clock cimport monotonic_ns
from zcloop._native.kernel.sealed cimport seal
from zcloop._native.kernel.sockets cimport receive_buffer_size

cdef unsigned RUN = 256
cdef int64_t FLOOD_NS = RUN * 10000
cdef unsigned SENT_MAX = RUN // 8
cdef unsigned RUNS_MIN = 4
cdef unsigned RUNS_MAX = 4096
cdef unsigned FRUITFUL = 16
cdef int64_t SLACK_NS = 50000           # of a thread's timers, if nobody has changed it
cdef uint64_t OVERHEAD = 1024           # bytes that the kernel counts for a datagram, with its own


@cython.final
@cython.no_gc
cdef class DatagramFlow:
    cdef void judge(self) noexcept:
        """A run is over."""
        cdef int64_t now = monotonic_ns()
        cdef int64_t run_ns = now - self.since_ns
        cdef bint is_flood = run_ns <= FLOOD_NS and self.sent <= SENT_MAX
        if self.epoch == self.coalescing.epoch and is_flood and self.fits(run_ns):
            self.runs += 1
        else:
            self.leave()
            self.runs = self.runs + 1 if is_flood else 0
            if self.runs >= self.runs_wanted and self.coalescing.limit_us:
                self.buffer_size = receive_buffer_size(self.fd)
                if self.fits(run_ns):
                    self.runs = 0
                    self.epoch = self.coalescing.join()
        self.since_ns = now
        self.left = RUN
        self.sent = 0
        self.size = 0

    cdef void leave(self) noexcept:
        """It has come to a halt, or is not received from. Idempotent."""
        if self.epoch == 0:
            return
        if self.epoch == self.coalescing.epoch:
            self.coalescing.flows -= 1
        self.epoch = 0
        self.runs_wanted = (RUNS_MIN if self.runs >= FRUITFUL
                            else min(2 * self.runs_wanted, RUNS_MAX))
        self.runs = 0

    cdef bint fits(self, int64_t run_ns) noexcept:
        """Whether the socket holds twice what comes during the longest sleep, at this rate."""
        cdef uint64_t wait_ns = self.coalescing.limit_us * <int64_t> 1000 + SLACK_NS
        cdef uint64_t run_size = self.size + RUN * OVERHEAD
        return 2 * run_size * wait_ns <= <uint64_t> self.buffer_size * <uint64_t> max(run_ns, 1)


cdef DatagramFlow make_datagram_flow(Coalescing coalescing, int fd):
    """The flow of one socket, which is none yet."""
    cdef DatagramFlow flow = DatagramFlow.__new__(DatagramFlow)
    flow.coalescing = coalescing
    flow.fd = fd
    flow.left = RUN
    flow.runs_wanted = RUNS_MIN
    flow.since_ns = monotonic_ns()
    return flow


seal(DatagramFlow)
