"""Whether a datagram socket is flooded, one way, so that what comes may gather (`Coalescing`).

Messages are counted in runs of 256. A run is a flood when it takes no longer than 2.56 ms, which is
100 messages a millisecond, and when at most one was sent for eight that came: who waits for answers
has few under way, and would be kept waiting. Four such runs in a row, and the flow joins; one that
is none, and it has left. A flow that comes to a halt before it has brought sixteen more has to
prove itself for twice as long the next time, up to a million messages.
"""

from zcloop._native.kernel.clock cimport monotonic_ns

cdef unsigned RUN = 256
cdef int64_t FLOOD_NS = RUN * 10000
cdef unsigned SENT_MAX = RUN // 8
cdef unsigned RUNS_MIN = 4
cdef unsigned RUNS_MAX = 4096
cdef unsigned FRUITFUL = 16


cdef class DatagramFlow:
    cdef int judge(self) noexcept:
        """A run is over."""
        cdef int64_t now = monotonic_ns()
        cdef bint is_flood = now - self.since_ns <= FLOOD_NS and self.sent <= SENT_MAX
        self.since_ns = now
        self.left = RUN
        self.sent = 0
        if self.epoch:
            if self.epoch == self.coalescing.epoch:
                if is_flood:
                    self.runs += 1
                    return 0
                self.coalescing.flows -= 1
            # It has come to a halt, or another has.
            self.epoch = 0
            if self.runs >= FRUITFUL:
                self.runs_wanted = RUNS_MIN
            else:
                self.runs_wanted = min(2 * self.runs_wanted, RUNS_MAX)
            self.runs = 0
        self.runs = self.runs + 1 if is_flood else 0
        if self.runs >= self.runs_wanted and self.coalescing.limit_us:
            self.runs = 0
            self.epoch = self.coalescing.join()
        return 0


cdef DatagramFlow make_datagram_flow(Coalescing coalescing):
    """The flow of one socket, which is none yet."""
    cdef DatagramFlow flow = DatagramFlow.__new__(DatagramFlow)
    flow.coalescing = coalescing
    flow.left = RUN
    flow.runs_wanted = RUNS_MIN
    flow.since_ns = monotonic_ns()
    return flow
