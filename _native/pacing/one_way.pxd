cdef enum:
    LOW_WATER = 256 * 1024      # bytes that the kernel is to wait for: one read in bulk


cdef class OneWay:
    cdef readonly bint is_one_way       # bulk pours in, as far as is known
    cdef readonly size_t distance       # bytes in a row, and fast, that it takes to say so
    cdef readonly size_t received       # bytes in a row; once it is one way, bytes since then
    cdef double start                   # loop time when the first of them came
    cdef double read_at                 # loop time of the latest read, while it is one way

    cpdef bint needs_time(self, size_t size) noexcept
    cpdef bint begins(self, size_t size, double now) noexcept
    cpdef void go_on(self, size_t size, double now) noexcept
    cpdef bint has_halted(self, double now) noexcept
    cpdef double halts_at(self) noexcept
    cpdef void end_trial(self) noexcept
    cpdef void end(self) noexcept
    cpdef void forget(self) noexcept
