"""The receive low-water mark of a TCP socket (SO_RCVLOWAT), raised while bulk pours in one way.

While it is raised the kernel wakes us for 256 KiB, the end, or an error, and no more for each
segment. `OneWay`, from which this derives, says when to raise it, and when its bytes have stopped
coming; this class asks the clock, has the timer that looks for a halt, and sets the mark.

    not one way                        as it was (1 byte)
    one way, read patiently            raised
    one way, read greedily             as it was: `BulkReading` measures which of the two is cheaper
    the end of the loop's run          as it was

A mark that the program has set is left alone. When the mark is lowered the kernel looks again: a
poll that waited is done if anything is there.
"""

from zcloop._native.kernel.clock cimport monotonic, monotonic_ns, thread_cpu_ns
from zcloop._native.kernel.sealed cimport seal
from zcloop._native.kernel.tcp cimport receive_low_water, set_receive_low_water
from zcloop._native.pacing.bulk_reading cimport BulkReading
from zcloop._native.pacing.one_way cimport LOW_WATER


cdef class LowWaterMark(OneWay):
    cdef void note(self, size_t size) noexcept:
        """So many bytes were read."""
        if self.is_one_way:
            self.note_one_way(size)
        elif self.begins(size, monotonic() if self.needs_time(size) else 0):
            self.follow()

    cdef void note_one_way(self, size_t size) noexcept:
        cdef BulkReading reading = self.loop.bulk_reading
        cdef double now = monotonic()
        if self.mark == 0 and self.has_halted(now):
            self.end_trial()        # no timer has looked for the halt
            self.lower()
            return
        self.go_on(size, now)
        if reading.note(size):
            reading.advance(thread_cpu_ns(), monotonic_ns())
        if reading.is_patient != (self.mark != 0):
            self.follow()

    cdef void follow(self) noexcept:
        """Raise the mark or lower it, as bulk is to be read now."""
        try:
            if not self.loop.bulk_reading.is_patient:
                self.lower()
                self.is_one_way = True
                self.read_at = monotonic()
            elif self.lift() == 0:
                self.is_one_way = self.mark != 0
        except MemoryError:
            self.is_one_way = False     # the mark stays as it is

    cdef int lift(self) except -1:
        """Raise the mark. The kernel is told last, since what fails before that leaves a mark for
        which no timer waits."""
        if receive_low_water(self.fd) != 1:
            return 0        # the program has set one
        self.read_at = monotonic()
        self.loop.raised_marks.add(self)
        self.watch()
        if set_receive_low_water(self.fd, LOW_WATER) < 0:
            return self.lower()
        self.mark = receive_low_water(self.fd)      # at most half of the socket's buffer
        return 0

    cdef int watch(self) except -1:
        self.timer = self.loop.timers.add(self.halts_at(), self._look, (), self.loop, None,
                                          self.loop.contexts)
        return 0

    cpdef int lower(self) except -1:
        """Set the mark as it was before, unless the program has set one meanwhile. Idempotent."""
        cdef int mark = self.mark
        self.mark = 0
        self.end()
        timer, self.timer = self.timer, None
        if timer is not None:
            timer.cancel()
        self.loop.raised_marks.discard(self)
        if mark and receive_low_water(self.fd) == mark:
            set_receive_low_water(self.fd, 1)
        return 0

    cdef int restart(self) except -1:
        """The sender may wait for what was written, or reading ends."""
        self.forget()
        return self.lower() if self.mark else 0

    def _look(self):
        """Look whether the sender has halted. One timer serves many reads: it is set again for a
        while after the latest one, and not at each."""
        self.timer = None
        if not self.mark:
            return
        if not self.has_halted(monotonic()):
            try:
                self.watch()
            except BaseException:
                self.lower()
                raise
            return
        self.end_trial()
        self.lower()


cdef LowWaterMark make_low_water_mark(Core loop, int fd):
    """The mark of a TCP socket; the kernel's stays as it was until `note` raises it."""
    cdef LowWaterMark mark = LowWaterMark.__new__(LowWaterMark)
    mark.loop = loop
    mark.fd = fd
    return mark


seal(LowWaterMark)
