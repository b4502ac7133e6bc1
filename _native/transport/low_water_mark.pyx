"""The receive low-water mark of a TCP socket (SO_RCVLOWAT), raised while bulk pours in one way.

A sender that is about as fast as its reader wakes it for every segment or two, which costs both of
them more than those bring. So when much has come fast, and nothing was written meanwhile that it
could answer, the kernel is told to wake us for 256 KiB, the end, or an error.

    8 MiB in a row, at 256 KiB/ms or more  --> raised
    a write, a pause, another protocol, the end  --> lowered
    nothing read for 1 ms  --> lowered

So the last bytes before a sender's pause come late by 1 ms, once in at least 8 MiB. When the mark
is lowered the kernel looks again: a poll that waited is done if anything is there.
"""

from zcloop._native.kernel.clock cimport monotonic
from zcloop._native.kernel.tcp cimport receive_low_water, set_receive_low_water

cdef int HIGH = 256 * 1024
cdef size_t ENOUGH = 8 * 1024 * 1024
cdef double BYTES_PER_SECOND = 256 * 1024 / 1e-3
cdef double HALT_SECONDS = 1e-3


cdef class LowWaterMark:
    cdef int note(self, size_t size) except -1:
        """So many bytes were read."""
        cdef double now
        if self.is_raised:
            self.read_at = monotonic()
            return 0
        if self.received == 0:
            self.since = monotonic()
        self.received += size
        if self.received < ENOUGH:
            return 0
        now = monotonic()
        if self.received >= (now - self.since) * BYTES_PER_SECOND:
            self.lift(now)
        self.received = 0
        return 0

    cdef int lift(self, double now) except -1:
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
        else:
            self.lower()


cdef LowWaterMark make_low_water_mark(Scheduler loop, int fd):
    """The mark of a TCP socket; it is as it was until `note` raises it."""
    cdef LowWaterMark mark = LowWaterMark.__new__(LowWaterMark)
    mark.loop = loop
    mark.fd = fd
    return mark
