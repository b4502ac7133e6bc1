from libc.stdint cimport uint8_t

from zcloop._native.transport.pipe cimport Pipe


cdef class PipeReader(Pipe):
    cdef size_t last_size       # bytes of the latest read
    cdef uint8_t misses         # waits for the writer that were in vain, in a row
    cdef uint8_t skips          # large reads to come before the writer is waited for again

    cdef int read_ready(self) except -1
    cdef bint is_refilled(self) noexcept
