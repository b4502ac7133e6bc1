from libc.stdint cimport uint8_t

from zcloop._native.loop.awaitable cimport Awaitable
from zcloop._native.streams.stream_input cimport StreamInput

cdef enum Kind:
    READ            # what there is, up to `size`
    READ_ALL        # until the end
    READ_EXACTLY    # `size` bytes
    READ_UNTIL      # up to and with a separator
    READ_LINE       # up to and with a newline, or all until the end
    READ_NEXT       # a line; at the end, the end of an iteration


cdef class Reading(Awaitable):
    cdef StreamInput input
    cdef uint8_t kind
    cdef Py_ssize_t size
    cdef object separator       # for READ_UNTIL: as given, then a list of bytes, shortest first
    cdef size_t offset          # for READ_UNTIL: no separator begins before it
    cdef list pieces            # for READ_ALL: what was read so far

    cdef bint read(self) except -1
    cdef bint read_all(self) except -1
    cdef bint read_exactly(self) except -1
    cdef bint read_until(self) except -1
    cdef bint read_line(self) except -1
    cdef int split_separators(self) except -1
    cdef bint wait(self, size_t wanted, str caller) except -1

cdef Reading make_reading(StreamInput input, Kind kind, Py_ssize_t size, object separator)
