"""How bulk that pours in one way is read: what takes less CPU here, as measured.

    patient    the low-water mark is raised, and each socket is read once in its turn
    greedy     no mark, and a socket that was full is read again at once

Where segments come one by one, paced by the sender's congestion control or a network, a greedy loop
is woken by each: 1.3 times the CPU. Where senders on the same machine write as fast as they can,
what is read at once is still in the cache: of four of them patience costs 1.2 times the CPU. So the
two are compared by the thread's CPU time for a byte, in stages of bytes read:

    settle 16 MiB, measure 48      the way that is taken
    settle 16 MiB, measure 48      the other, which stays if it takes 5 % less
    1 GiB until the next comparison; while nothing changes twice as much each time, up to 16 GiB

A trial that takes too long is given up until then: little comes, or with halts, and other work is
in the CPU time.
"""

cimport cython

cdef int64_t MIB = 1024 * 1024
cdef int64_t SETTLING = 16 * MIB
cdef int64_t TIMED = 48 * MIB
cdef int64_t REST_MIN = 1024 * MIB
cdef int64_t REST_MAX = 16 * REST_MIN
cdef double CHEAPER = 0.95
cdef int64_t COMPARISON_NS_MAX = 1000000000


@cython.final
@cython.no_gc
cdef class BulkReading:
    def __cinit__(self):
        self.is_patient = True
        self.rest = REST_MIN
        self.begin(SETTLE, SETTLING)

    cpdef void restart(self) noexcept:
        """A run begins, perhaps in another thread, which has a CPU time of its own."""
        if self.is_trial:
            self.end_trial(False)
        elif self.stage == TIME:
            self.begin(SETTLE, SETTLING)

    cpdef void advance(self, int64_t cpu_ns, int64_t now) noexcept:
        """A stage is over, at this CPU time of the thread and this time, both in nanoseconds."""
        if self.stage != TIME:
            self.cpu_then = cpu_ns
            if not self.is_trial:
                self.then_ns = now
            self.begin(TIME, TIMED)
        elif now - self.then_ns <= COMPARISON_NS_MAX:
            self.judge(<double> (cpu_ns - self.cpu_then) / (TIMED - self.left), now)
        elif self.is_trial:
            self.end_trial(False)
        else:
            self.begin(SETTLE, SETTLING)

    cdef void begin(self, Stage stage, int64_t size) noexcept:
        self.stage = stage
        self.left = size

    cdef void judge(self, double cost, int64_t now) noexcept:
        if self.is_trial:
            self.end_trial(cost < CHEAPER * self.cost)
            return
        self.cost = cost
        self.is_trial = True
        self.is_patient = not self.is_patient
        self.then_ns = now
        self.begin(SETTLE, SETTLING)

    cdef void end_trial(self, bint is_cheaper) noexcept:
        self.is_trial = False
        if is_cheaper:
            self.rest = REST_MIN
        else:
            self.is_patient = not self.is_patient
            self.rest = min(2 * self.rest, REST_MAX)
        self.begin(REST, self.rest)
