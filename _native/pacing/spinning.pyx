"""How long a loop with nothing to do looks for a completion before it sleeps.

To sleep and be woken costs a core some microseconds, on a virtual one more than most messages are
worth, and the peer that has to wake it as much. In ping-pong with a quick peer looking costs less:
of 64 bytes on one connection 0.8 of the CPU a message, at 2.4 times the rate. Where more is under
way, what gathers during a sleep is cheaper than what is found at once; and where nothing comes the
time is lost. So an adaptive loop tries, and keeps to what takes less CPU for the same work.

    17 short sleeps in a row  --> spinning; the CPU of the last sixteen is remembered
    64 looks                  --> judged, good if they took less CPU than those
    two misses in a row       --> sleeping; 17 more, if any judgement was good, else twice as many
                                  as before, up to 1,024
    two judged worse in a row --> sleeping; twice as many as before
    64 good judgements        --> sleeping, to measure anew; 17 more
    a long sleep              --> sleeping; 17 more, if any judgement was good, else as many as
                                  before, from the beginning

Work is counted in completions and in 4 KiB that were moved. A peer that has slept for long is slow
to wake, so the first few looks may take as long as a short sleep.
"""

from zcloop._native.kernel.clock cimport thread_cpu_ns

# About what a sleep costs, and the answer of a peer on the same machine takes.
cdef int64_t QUICK_NS = 40000
# What a peer answers within when both sleep meanwhile, so that it may be quick if we do not.
cdef int64_t SHORT_NS = 100000
cdef unsigned MEASURED_SLEEPS = 16
cdef unsigned SLEEPS_MIN = 17           # the first, of another kind perhaps, is not measured
cdef unsigned SLEEPS_MAX = 1024
cdef unsigned FIRST_LOOKS = 4
cdef unsigned MEASURED_LOOKS = 64
cdef unsigned MISSES_MAX = 2
cdef unsigned DOUBTS_MAX = 2
cdef unsigned JUDGEMENTS_MAX = 64
cdef unsigned WORK_SHIFT = 12


cdef class Spinning:
    def __cinit__(self):
        self.is_adaptive = True
        self.sleeps_wanted = SLEEPS_MIN
        self.restart()

    cpdef void moved(self, uint64_t total_bytes) noexcept:
        """By the loop, since it was made."""
        self.moved_bytes = total_bytes

    cpdef int64_t next_ns(self) noexcept:
        """For how long to look now; 0 is not at all."""
        if not self.is_adaptive:
            return self.fixed_ns
        if self.sleeps_left:
            return 0
        return SHORT_NS if self.first_looks_left else QUICK_NS

    cpdef void looked(self, int64_t found_ns, uint64_t completed) noexcept:
        """Until something was found, or in vain, which is -1."""
        if found_ns >= 0:
            self.spins += 1
        if not self.is_adaptive:
            return
        if self.first_looks_left:
            self.first_looks_left -= 1
            if found_ns < 0:
                self.stop()
            elif self.first_looks_left == 0:
                self.mark(completed)
            return
        self.misses = 0 if 0 <= found_ns <= QUICK_NS else self.misses + 1
        if self.misses == MISSES_MAX:
            self.stop()
            return
        self.looks += 1
        if self.looks == MEASURED_LOOKS:
            self.looks = 0
            self.judge(self.cost(completed))
            self.mark(completed)

    cdef void judge(self, double cost) noexcept:
        if cost < self.asleep_cost:
            self.doubts = 0
            self.judgements += 1
            if self.judgements == JUDGEMENTS_MAX:
                self.stop()
            return
        self.doubts += 1
        if self.doubts == DOUBTS_MAX:
            self.judgements = 0
            self.stop()

    cpdef void slept(self, int64_t duration_ns, uint64_t completed) noexcept:
        """So long, of a wait that did not find anything at once."""
        cdef double cost
        if duration_ns > SHORT_NS:
            if self.judgements:
                self.sleeps_wanted = SLEEPS_MIN
            self.restart()
        elif self.sleeps_left:
            self.sleeps_left -= 1
            if self.sleeps_left == MEASURED_SLEEPS:
                self.mark(completed)
            elif self.sleeps_left == 0:
                cost = self.cost(completed)
                # Sixteen tell little; the work is as a rule that of last time.
                self.asleep_cost = (self.asleep_cost + cost) / 2 if self.asleep_cost else cost

    cdef void restart(self) noexcept:
        """From the first short sleep: what is being measured is of another thread, run or peer."""
        self.sleeps_left = self.sleeps_wanted
        self.first_looks_left = FIRST_LOOKS
        self.looks = self.judgements = self.misses = self.doubts = 0

    cdef void stop(self) noexcept:
        self.sleeps_wanted = (SLEEPS_MIN if self.judgements
                              else min(2 * self.sleeps_wanted, SLEEPS_MAX))
        self.restart()

    cdef void mark(self, uint64_t completed) noexcept:
        self.cpu_then = thread_cpu_ns()
        self.work_then = completed + (self.moved_bytes >> WORK_SHIFT)

    cdef double cost(self, uint64_t completed) noexcept:
        """Nanoseconds of CPU for a piece of work, since the mark."""
        cdef uint64_t work = completed + (self.moved_bytes >> WORK_SHIFT) - self.work_then
        return <double> (thread_cpu_ns() - self.cpu_then) / max(work, 1)
