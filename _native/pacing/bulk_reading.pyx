"""How bulk that pours in one way is read: in the way that takes less CPU here, as measured.

    patient    the low-water mark is raised, and each socket is read once in its turn
    greedy     there is no mark, and a socket that was full is read again at once

Where segments come one by one, paced by a network or by the sender's congestion control, each of
them wakes a greedy loop, which costs 1.3 times the CPU of a patient one. Where senders on the same
machine write as fast as they can, what is read at once is still in the cache: of four of them a
patient loop takes 1.2 times the CPU of a greedy one. So the two are compared by the thread's CPU
time for a byte. A stage is as many bytes:

    stage     way     what happens                        then      way     next distance
    warm up   kept    16 MiB                              measure   kept    -
    measure   kept    48 MiB                              warm up   trial   -
    measure   kept    48 MiB in more than a second        warm up   kept    -
    warm up   trial   16 MiB                              measure   trial   -
    measure   trial   48 MiB that cost 5 % less           keep      trial   shortest
    measure   trial   48 MiB that cost more than that     keep      kept    doubled
    measure   trial   a second since the trial began      keep      kept    doubled
    keep      kept    a full distance                     measure   kept    -
    warm up   kept    a run of the loop begins            warm up   kept    -
    measure   kept    a run of the loop begins            warm up   kept    -
    keep      kept    a run of the loop begins            keep      kept    same
    warm up   trial   a run of the loop begins            keep      kept    doubled
    measure   trial   a run of the loop begins            keep      kept    doubled

The distance is 1 to 16 GiB.

A trial that takes longer than a second is in vain, since little comes, or it comes with halts: then
other work is in the CPU time.
"""

cimport cython

from zcloop._native.pacing.distance cimport next_distance

cdef int64_t MIB = 1024 * 1024      # bytes
# More than sockets and a core's cache hold: nothing is left of what was read in the other way.
cdef int64_t WARM_UP_SIZE = 16 * MIB
# About 10 ms at 5 GB/s, so that a single interrupt does not decide.
cdef int64_t MEASURED_SIZE = 48 * MIB
# Of these bytes 6 % are a trial's, and cost 1.2 to 1.3 times the CPU if it is in vain.
cdef int64_t DISTANCE_MIN = 1024 * MIB
# Some seconds at the highest rates: so late a loop finds out that the other way is cheaper by now.
cdef int64_t DISTANCE_MAX = 16 * DISTANCE_MIN
# Two measurements of one way differ by a few per cent
# (test_a_little_less_is_no_reason_to_change).
cdef double WINNING_SHARE = 0.95
# At less than 64 MiB in a second most of the CPU time may be that of other work.
cdef int64_t COMPARISON_NS_MAX = 1000000000


@cython.final
@cython.no_gc
cdef class BulkReading:
    def __cinit__(self):
        self.is_patient = True
        self.distance = DISTANCE_MIN
        self.begin(WARM_UP, WARM_UP_SIZE)

    cpdef void restart(self) noexcept:
        """A run begins, perhaps in another thread, which has a CPU time of its own."""
        if self.is_trial:
            self.end_trial(False)
        elif self.stage == MEASURE:
            self.begin(WARM_UP, WARM_UP_SIZE)

    cpdef void advance(self, int64_t cpu_ns, int64_t now) noexcept:
        """A stage is over, at this CPU time of the thread and at this time, both in nanoseconds."""
        if self.stage != MEASURE:
            self.cpu_start_ns = cpu_ns
            if not self.is_trial:
                self.start_ns = now
            self.begin(MEASURE, MEASURED_SIZE)
        elif now - self.start_ns <= COMPARISON_NS_MAX:
            self.compare(<double> (cpu_ns - self.cpu_start_ns) / (MEASURED_SIZE - self.stage_left),
                         now)
        elif self.is_trial:
            self.end_trial(False)
        else:
            self.begin(WARM_UP, WARM_UP_SIZE)

    cdef void begin(self, Stage stage, int64_t size) noexcept:
        self.stage = stage
        self.stage_left = size

    cdef void compare(self, double cost, int64_t now) noexcept:
        """One way was measured: the kept one, and the trial begins; or the trial, and it ends."""
        if self.is_trial:
            self.end_trial(cost < WINNING_SHARE * self.kept_cost)
            return
        self.kept_cost = cost
        self.is_trial = True
        self.is_patient = not self.is_patient
        self.start_ns = now
        self.begin(WARM_UP, WARM_UP_SIZE)

    cdef void end_trial(self, bint is_won) noexcept:
        self.is_trial = False
        if not is_won:
            self.is_patient = not self.is_patient
        self.distance = next_distance(self.distance, is_won, DISTANCE_MIN, DISTANCE_MAX)
        self.begin(KEEP, self.distance)
