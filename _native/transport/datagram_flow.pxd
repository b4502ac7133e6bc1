from libc.stdint cimport int64_t, uint64_t

from zcloop._native.channel.coalescing cimport Coalescing


cdef class DatagramFlow:
    cdef Coalescing coalescing
    cdef uint64_t epoch                 # that it has joined last; 0 before it has
    cdef int64_t since_ns               # when the run began
    cdef unsigned left                  # messages to come until the run is over
    cdef unsigned sent                  # meanwhile
    cdef unsigned runs                  # in a row that were a flood; since it joined, once it has
    cdef unsigned runs_wanted           # before it joins

    cdef int judge(self) noexcept

    cdef inline int note(self) noexcept:
        """A message has come."""
        self.coalescing.messages += 1
        self.left -= 1
        if self.left == 0:
            self.judge()
        return 0

cdef DatagramFlow make_datagram_flow(Coalescing coalescing)
