"""The receive low-water mark of a TCP socket (SO_RCVLOWAT), raised while bulk pours in one way.

A sender that is about as fast as its reader wakes it for every segment or two, which costs both of
them more than those bring. So when much has come fast, and nothing was written meanwhile that it
could answer, the kernel is told to wake us for 256 KiB, the end, or an error.

    `enough` in a row, at 256 KiB/ms or more  --> one way: raised, while the loop finds that cheaper
                               than to read what there is (`BulkReading`). 8 MiB at first
    nothing read for 1 ms  --> lowered. If 1 MiB came in between 256 KiB are enough next time,
                               else twice as much as before, up to 1 GiB
    a write, a pause, another protocol, the end, the end of the loop's run  --> lowered

So the last bytes before a sender's pause come late by 1 ms, once in at least 1 MiB. When the mark
is lowered the kernel looks again: a poll that waited is done if anything is there.
"""

from zcloop._native.kernel.clock cimport monotonic, monotonic_ns, thread_cpu_ns
from zcloop._native.kernel.sealed cimport seal
from zcloop._native.kernel.tcp cimport receive_low_water, set_receive_low_water
from zcloop._native.pacing.bulk_reading cimport BulkReading

cdef int HIGH = 256 * 1024
cdef size_t ENOUGH_MIN = 8 * 1024 * 1024
cdef size_t ENOUGH_MAX = 1024 * 1024 * 1024
cdef size_t FRUITFUL = 1024 * 1024
cdef double BYTES_PER_SECOND = 256 * 1024 / 1e-3
cdef double HALT_SECONDS = 1e-3


cdef class LowWaterMark:
    cdef void note(self, size_t size) noexcept:
        """So many bytes were read."""
        if self.is_one_way:
            self.note_one_way(size)
            return
        if self.received == 0:
            self.since = monotonic()
        self.received += size
        if self.received < self.enough:
            return
        if self.received >= (monotonic() - self.since) * BYTES_PER_SECOND:
            self.is_one_way = True
            self.follow()
        self.received = 0

    cdef void note_one_way(self, size_t size) noexcept:
        cdef BulkReading reading = self.loop.bulk_reading
        cdef double now = monotonic()
        if self.high == 0 and now > self.read_at + HALT_SECONDS:
            self.halted()       # no timer has looked for it
            return
        self.received += size
        self.read_at = now
        if reading.note(size):
            reading.advance(thread_cpu_ns(), monotonic_ns())
        if reading.is_patient != (self.high != 0):
            self.follow()

    cdef void follow(self) noexcept:
        """Raised or not, as what pours in is to be read now."""
        try:
            if not self.loop.bulk_reading.is_patient:
                self.lower()
                self.is_one_way = True
                self.read_at = monotonic()
            elif self.lift(monotonic()) == 0:
                self.is_one_way = self.high != 0
        except MemoryError:
            self.is_one_way = False     # it stays as it is

    cdef int lift(self, double now) except -1:
        """Last in the kernel: whatever fails before leaves nothing that waits."""
        if receive_low_water(self.fd) != 1:
            return 0        # one that the program has set is left alone
        self.read_at = now
        self.loop.raised_marks.add(self)
        self.watch()
        if set_receive_low_water(self.fd, HIGH) < 0:
            return self.lower()
        self.high = receive_low_water(self.fd)      # at most half of the socket's buffer
        return 0

    cdef int watch(self) except -1:
        self.timer = self.loop.timers.add(self.read_at + HALT_SECONDS, self._look, (), self.loop,
                                          None, self.loop.contexts)
        return 0

    cpdef int lower(self) except -1:
        """As it was before, unless it is the program's now. Idempotent."""
        cdef int high = self.high
        self.high = 0
        self.is_one_way = False
        self.received = 0
        timer, self.timer = self.timer, None
        if timer is not None:
            timer.cancel()
        self.loop.raised_marks.discard(self)
        if high and receive_low_water(self.fd) == high:
            set_receive_low_water(self.fd, 1)
        return 0

    cdef int restart(self) except -1:
        """Something was written that who sends may wait for, or reading ends."""
        self.received = 0
        self.is_one_way = False
        self.enough = max(self.enough, ENOUGH_MIN)
        return self.lower() if self.high else 0

    def _look(self):
        """Whether it has come to a halt; asked again a while after the last bytes, not for each."""
        self.timer = None
        if not self.high:
            return
        if self.read_at + HALT_SECONDS > monotonic():
            try:
                self.watch()
            except BaseException:
                self.lower()
                raise
            return
        self.halted()

    cdef void halted(self) noexcept:
        if self.received >= FRUITFUL:
            self.enough = HIGH
        else:
            self.enough = min(2 * max(self.enough, ENOUGH_MIN), ENOUGH_MAX)
        self.lower()


cdef LowWaterMark make_low_water_mark(Core loop, int fd):
    """The mark of a TCP socket; it is as it was until `note` raises it."""
    cdef LowWaterMark mark = LowWaterMark.__new__(LowWaterMark)
    mark.loop = loop
    mark.fd = fd
    mark.enough = ENOUGH_MIN
    return mark


seal(LowWaterMark)
