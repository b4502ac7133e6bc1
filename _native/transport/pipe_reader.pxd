from libc.stdint cimport uint8_t

from zcloop._native.transport.pipe cimport Pipe


cdef class PipeReader(Pipe):
    cdef size_t last_size       # bytes of the latest read
    cdef uint8_t misses         # in a row, when the writer was waited for
    cdef uint8_t skips          # reads until it is waited for again

    cdef int read_ready(self) except -1
    cdef bint is_refilled(self) noexcept
