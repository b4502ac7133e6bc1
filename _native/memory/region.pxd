cdef class Region:
    cdef char *address
    cdef readonly size_t size       # bytes, a multiple of the page size
    cdef size_t mapped

    cdef bint holds(self, const void *pointer, size_t size) noexcept nogil
