cimport cython
from libc.stdint cimport int64_t, uint64_t

from zcloop._native.pacing.coalescing cimport Coalescing

cdef enum:
    FEW = 4         # datagrams that a trial has to bring; fewer are not worth their delay


@cython.final
@cython.no_gc       # `Coalescing` refers to no object
cdef class DatagramFlow:
    cdef Coalescing coalescing
    cdef int fd
    cdef uint64_t epoch                 # in which it joined; 0 while it has not
    cdef int64_t run_start_ns
    cdef unsigned run_left              # datagrams to come until the run is over
    cdef unsigned run_sent              # datagrams sent in this run
    cdef uint64_t run_size              # bytes received in this run
    cdef unsigned floods                # runs in a row that were floods, since it joined or left
    cdef unsigned distance              # floods in a row that it takes to join
    cdef int buffer_size                # what the socket holds, as it was when the flow joined
    cdef uint64_t trial                 # the trial of `coalescing` that `brought` counts for
    cdef unsigned brought               # datagrams received in that trial

    cpdef void advance(self, int64_t now) noexcept
    cpdef void leave(self) noexcept
    cdef void try_to_join(self, int64_t run_ns, int64_t now) noexcept
    cdef bint fits(self, int64_t run_ns) noexcept

    cpdef inline bint note(self, size_t size) noexcept:
        """A datagram of this size was received. Returns whether the run is over."""
        cdef Coalescing coalescing = self.coalescing
        if self.epoch == coalescing.epoch:
            if self.trial != coalescing.trial:
                self.trial = coalescing.trial
                self.brought = 0
            self.brought += 1
            coalescing.fruitful_flows += self.brought == FEW
        self.run_size += size
        self.run_left -= 1
        return self.run_left == 0

    cpdef inline void note_sent(self) noexcept:
        """A datagram was sent."""
        self.run_sent += 1
