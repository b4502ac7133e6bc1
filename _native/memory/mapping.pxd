cdef class Mapping:
    cdef char *address
    cdef readonly size_t size       # bytes, a multiple of the page size
    cdef size_t mapped
