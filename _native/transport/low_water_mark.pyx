"""The receive low-water mark of a TCP socket (SO_RCVLOWAT), raised while bulk pours in one way.

A sender that is about as fast as its reader wakes it for every segment or two, which costs both of
them more than those bring. So when much has come fast, and nothing was written meanwhile that it
could answer, the kernel is told to wake us for 256 KiB, the end, or an error.

    8 MiB in a row, at 256 KiB/ms or more  --> raised
    nothing read for 1 ms  --> lowered; raised again by what comes then, if 1 MiB came in between,
                               else twice as much is needed next time
    a write, a pause, another protocol, the end  --> lowered

So the last bytes before a sender's pause come late by 1 ms, once in at least 1 MiB. When the mark
is lowered the kernel looks again: a poll that waited is done if anything is there.
"""

from zcloop._native.kernel.clock cimport monotonic
from zcloop._native.kernel.tcp cimport receive_low_water, set_receive_low_water

cdef int HIGH = 256 * 1024
cdef size_t ENOUGH_MIN = 8 * 1024 * 1024
cdef size_t ENOUGH_MAX = 1024 * 1024 * 1024
cdef size_t FRUITFUL = 1024 * 1024
cdef double BYTES_PER_SECOND = 256 * 1024 / 1e-3
cdef double HALT_SECONDS = 1e-3


cdef class LowWaterMark:
    cdef int note(self, size_t size) except -1:
        """So many bytes were read."""
        cdef double now
        if self.is_halted:
            return self.lift(monotonic())
        if self.received == 0 and not self.is_raised:
            self.since = monotonic()
        self.received += size
        if self.is_raised:
            self.read_at = monotonic()
        elif self.received >= self.enough:
            now = monotonic()
            if self.received >= (now - self.since) * BYTES_PER_SECOND:
                return self.lift(now)
            self.received = 0
        return 0

    cdef int lift(self, double now) except -1:
        self.received = 0
        self.is_halted = False
        # One that the program has set is left alone.
        if receive_low_water(self.fd) == 1 and set_receive_low_water(self.fd, HIGH) == 0:
            self.is_raised = True
            self.read_at = now
            self.watch()
        return 0

    cdef int watch(self) except -1:
        self.timer = self.loop.schedule(self.read_at + HALT_SECONDS, self._look, (), None,
                                        "call_at")
        return 0

    cdef int lower(self) except -1:
        self.is_raised = False
        self.received = 0
        timer, self.timer = self.timer, None
        if timer is not None:
            timer.cancel()
        set_receive_low_water(self.fd, 1)       # fails only where there is no socket any more
        return 0

    def _look(self):
        """Whether it has come to a halt; asked again a while after the last bytes, not for each."""
        self.timer = None
        if self.read_at + HALT_SECONDS > monotonic():
            self.watch()
            return
        self.is_halted = self.received >= FRUITFUL
        self.enough = ENOUGH_MIN if self.is_halted else min(2 * self.enough, ENOUGH_MAX)
        self.lower()


cdef LowWaterMark make_low_water_mark(Scheduler loop, int fd):
    """The mark of a TCP socket; it is as it was until `note` raises it."""
    cdef LowWaterMark mark = LowWaterMark.__new__(LowWaterMark)
    mark.loop = loop
    mark.fd = fd
    mark.enough = ENOUGH_MIN
    return mark
