cdef class Mapping:
    cdef char *address              # NULL once closed or abandoned
    cdef readonly size_t size       # bytes, a multiple of the page size
    cdef size_t mapped              # the same; 0 once there is nothing to unmap
