cimport cython
from libc.stdint cimport int64_t, uint64_t

from zcloop._native.pacing.coalescing cimport Coalescing

cdef enum:
    FEW = 4         # messages in a sleep; less are not worth their delay


@cython.final
@cython.no_gc       # what it holds holds nothing
cdef class DatagramFlow:
    cdef Coalescing coalescing
    cdef int fd
    cdef uint64_t epoch                 # that it has joined; 0 while it is no flow
    cdef int64_t since_ns               # when the run began
    cdef unsigned left                  # messages to come until the run is over
    cdef unsigned sent                  # meanwhile
    cdef uint64_t size                  # bytes that it has brought so far
    cdef unsigned runs                  # in a row that were a flood; since it joined, once it has
    cdef unsigned runs_wanted           # before it joins
    cdef int buffer_size                # what the socket holds, when it joined
    cdef uint64_t judgement             # of the sleeps, the last for which it has
    cdef unsigned brought               # so many messages

    cdef void judge(self) noexcept
    cdef void leave(self) noexcept
    cdef bint fits(self, int64_t run_ns) noexcept

    cdef inline void note(self, size_t size) noexcept:
        """A message has come."""
        cdef Coalescing coalescing = self.coalescing
        if self.epoch == coalescing.epoch:
            if self.judgement != coalescing.judgement:
                self.judgement = coalescing.judgement
                self.brought = 0
            self.brought += 1
            coalescing.fruitful += self.brought == FEW
        self.size += size
        self.left -= 1
        if self.left == 0:
            self.judge()

cdef DatagramFlow make_datagram_flow(Coalescing coalescing, int fd)
