"""Whether bulk pours into a socket one way, so that waiting for more at a time may pay.

A sender that is about as fast as its reader wakes it for every segment or two, which costs both of
them more than those bring. When much has come fast, and nothing was written meanwhile that the
sender could answer, it is tried to wait for 256 KiB at a time. Such a trial ends when the sender
halts, whose last bytes it has delayed.

    state     what comes                                          then      distance
    mixed     less than a distance                                mixed     same
    mixed     a distance, at less than 256 KiB a millisecond      mixed     same
    mixed     a distance, at 256 KiB a millisecond or more        one way   same
    one way   bytes within 1 ms of the ones before                one way   same
    one way   nothing for 1 ms, after 1 MiB and more              mixed     256 KiB
    one way   nothing for 1 ms, after less                        mixed     doubled
    both      a write, a pause, another protocol, or the end      mixed     8 MiB at least

The distance is 8 MiB at first, and is doubled from 8 MiB on up to 1 GiB. So the last bytes before
a sender's halt come late by 1 ms, once in at least 1 MiB.
"""

# 32 reads of 256 KiB in a row. Most messages are smaller, and are never made late.
cdef size_t DISTANCE_MIN = 8 * 1024 * 1024
# So seldom is it tried on a connection that halts often; 0.1 to 1 s at the highest rates.
cdef size_t DISTANCE_MAX = 1024 * 1024 * 1024
# A trial that brought four times what is waited for has saved more wake-ups than its end costs.
cdef size_t WINNING_SIZE = 1024 * 1024
# 268 MB/s: what is slower is waited for longer than a wake-up is worth
# (test_a_slow_sender_is_not_waited_for).
cdef double BYTES_PER_SECOND = 256 * 1024 / 1e-3
# What comes at that rate fills 256 KiB within this time.
cdef double HALT_SECONDS = 1e-3


cdef class OneWay:
    def __cinit__(self):
        self.distance = DISTANCE_MIN

    cpdef bint needs_time(self, size_t size) noexcept:
        """Whether `begins` looks at the time when it is told of so many bytes."""
        return self.received == 0 or self.received + size >= self.distance

    cpdef bint begins(self, size_t size, double now) noexcept:
        """So many bytes were read, while it was not one way. Whether it is one way from here on.

        `now` is the loop's time, or any number where `needs_time` has said False.
        """
        if self.received == 0:
            self.start = now
        self.received += size
        if self.received < self.distance:
            return False
        self.is_one_way = self.received >= (now - self.start) * BYTES_PER_SECOND
        self.received = 0
        self.read_at = now
        return self.is_one_way

    cpdef void go_on(self, size_t size, double now) noexcept:
        """So many bytes were read, while it was one way and has not halted."""
        self.received += size
        self.read_at = now

    cpdef bint has_halted(self, double now) noexcept:
        """Whether nothing was read for so long that nothing more is to be waited for."""
        return now >= self.halts_at()

    cpdef double halts_at(self) noexcept:
        """When it has halted, unless more is read before."""
        return self.read_at + HALT_SECONDS

    cpdef void end_trial(self) noexcept:
        """The sender has halted: it is one way no longer, and the next distance is set."""
        if self.received >= WINNING_SIZE:
            self.distance = LOW_WATER
        else:
            self.distance = min(2 * max(self.distance, DISTANCE_MIN), DISTANCE_MAX)
        self.end()

    cpdef void end(self) noexcept:
        """It is one way no longer, for a reason that says nothing about the sender."""
        self.is_one_way = False
        self.received = 0

    cpdef void forget(self) noexcept:
        """What comes next may be waited for, such as an answer: it takes a full distance again."""
        self.distance = max(self.distance, DISTANCE_MIN)
        self.end()
