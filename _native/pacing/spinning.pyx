"""How long a loop with nothing to do looks for a completion before it sleeps.

To sleep and to be woken costs a core some microseconds, and on a virtual core more than most
messages are worth. It costs the peer, which has to wake it, as much. In ping-pong with a quick peer
looking costs less: with 64 bytes on one connection a message takes 0.8 of the CPU that it takes
with sleeps, at 2.4 times the rate. Where more is under way, what gathers during a sleep is cheaper
than what is found at once. Where nothing comes, the time is lost. So an adaptive loop tries to
look, and keeps to what takes less CPU for the same work.

To look is to poll the ring without a sleep; users know it as spinning. A short sleep lasts at most
100 us.

    sleeping   it sleeps at once; the CPU of the last 16 short sleeps is measured
    warming    it looks for as long as a short sleep takes, for a peer that wakes slowly
    looking    it looks for 40 us, and sleeps if it finds nothing; the CPU of 64 looks is measured

    state      what happens                              then       next distance
    sleeping   a full distance of short sleeps           warming    -
    sleeping   a long sleep                              sleeping   same
    warming    four looks that find something            looking    -
    warming    a look in vain                            sleeping   doubled
    looking    64 looks win                              looking    -
    looking    64 looks lose                             looking    -
    looking    64 looks lose twice in a row              sleeping   doubled
    looking    a look in vain                            looking    -
    looking    two looks in vain in a row                sleeping   doubled
    looking    two looks in vain in a row, after a win   sleeping   shortest
    looking    64 wins                                   sleeping   shortest
    looking    a long sleep                              sleeping   same
    looking    a long sleep, after a win                 sleeping   shortest
    looking    a run of the loop begins                  sleeping   same

A look is in vain, too, if it found something later than within 40 us. The distance is 17 to 1,024
short sleeps in a row, and a long sleep begins the count anew. Work is counted in completions and in
pieces of 4 KiB that were moved.
"""

cimport cython

from zcloop._native.kernel.clock cimport thread_cpu_ns
from zcloop._native.pacing.distance cimport next_distance

# About what a sleep costs, and what the answer of a peer on the same machine takes.
cdef int64_t QUICK_NS = 40000
# Within this time a peer answers if both sleep meanwhile. It may be quick if we do not sleep.
cdef int64_t SHORT_NS = 100000
# Sleeps whose CPU time is measured: they take about a millisecond, and a loop in ping-pong is soon
# at its first look.
cdef unsigned MEASURED_SLEEPS = 16
# One sleep more than is measured: the first may have followed other work.
cdef unsigned DISTANCE_MIN = MEASURED_SLEEPS + 1
# Against these a trial is 132 looks if it is lost, and one or two if nothing comes.
cdef unsigned DISTANCE_MAX = 1024
# A peer that has slept for long is slow to wake: these looks may take as long as a short sleep.
cdef unsigned FIRST_LOOKS = 4
# One reading of the CPU clock, a system call of some 200 ns, costs each of them 3 ns.
cdef unsigned MEASURED_LOOKS = 64
# One look in vain may be the peer's scheduler (test_one_look_in_vain_is_none_and_two_are_an_end).
cdef unsigned VAIN_LOOKS_MAX = 2
# One comparison may be lost by an interrupt (test_one_lost_comparison_is_none).
cdef unsigned LOSSES_MAX = 2
# After 4,096 looks what sleeps cost is measured anew, for 17 sleeps.
cdef unsigned WINS_MAX = 64
# A page that was moved counts as much as a completion (test_bytes_are_work_too).
cdef unsigned WORK_SHIFT = 12


@cython.final
cdef class Spinning:
    def __cinit__(self):
        self.is_adaptive = True
        self.distance = DISTANCE_MIN
        self.restart()

    cpdef void moved(self, uint64_t total_bytes) noexcept:
        """The loop has moved so many bytes since it was made."""
        self.moved_bytes = total_bytes

    cpdef int64_t next_ns(self) noexcept:
        """For how long to look now; 0 means not at all."""
        if not self.is_adaptive:
            return self.fixed_ns
        if self.sleeps_left:
            return 0
        return SHORT_NS if self.first_looks_left else QUICK_NS

    cpdef void looked(self, int64_t found_ns, uint64_t completed) noexcept:
        """A look found something after so long, or nothing, which is -1."""
        if found_ns >= 0:
            self.spins += 1
        if not self.is_adaptive:
            return
        if self.first_looks_left:
            self.first_looks_left -= 1
            if found_ns < 0:
                self.end_trial()
            elif self.first_looks_left == 0:
                self.measure_from(completed)
            return
        self.vain_looks = 0 if 0 <= found_ns <= QUICK_NS else self.vain_looks + 1
        if self.vain_looks == VAIN_LOOKS_MAX:
            self.end_trial()
            return
        self.looks += 1
        if self.looks == MEASURED_LOOKS:
            self.looks = 0
            self.compare(self.cost(completed))
            self.measure_from(completed)

    cdef void compare(self, double cost) noexcept:
        if cost < self.sleep_cost:
            self.losses = 0
            self.wins += 1
            if self.wins == WINS_MAX:
                self.end_trial()
            return
        self.losses += 1
        if self.losses == LOSSES_MAX:
            self.wins = 0       # what was won before is no longer true
            self.end_trial()

    cpdef void slept(self, int64_t duration_ns, uint64_t completed) noexcept:
        """A wait that found nothing at once has slept for so long."""
        cdef double cost
        if duration_ns > SHORT_NS:
            if self.wins:
                self.distance = DISTANCE_MIN
            self.restart()
        elif self.sleeps_left:
            self.sleeps_left -= 1
            if self.sleeps_left == MEASURED_SLEEPS:
                self.measure_from(completed)
            elif self.sleeps_left == 0:
                cost = self.cost(completed)
                # Sixteen sleeps tell little, and the work is as a rule that of the last trial.
                self.sleep_cost = (self.sleep_cost + cost) / 2 if self.sleep_cost else cost

    cpdef void restart(self) noexcept:
        """Count short sleeps from the first one: what was measured is of another thread, run or
        peer."""
        self.sleeps_left = self.distance
        self.first_looks_left = FIRST_LOOKS
        self.looks = self.wins = self.vain_looks = self.losses = 0

    cdef void end_trial(self) noexcept:
        self.distance = <unsigned> next_distance(self.distance, self.wins != 0,
                                                 DISTANCE_MIN, DISTANCE_MAX)
        self.restart()

    cdef void measure_from(self, uint64_t completed) noexcept:
        self.cpu_start_ns = thread_cpu_ns()
        self.work_start = completed + (self.moved_bytes >> WORK_SHIFT)

    cdef double cost(self, uint64_t completed) noexcept:
        """Nanoseconds of CPU for a piece of work, since `measure_from`."""
        cdef uint64_t work = completed + (self.moved_bytes >> WORK_SHIFT) - self.work_start
        return <double> (thread_cpu_ns() - self.cpu_start_ns) / max(work, 1)
