cimport cython


@cython.final
cdef class Event:
    cdef readonly object type
    cdef readonly object source
    cdef readonly object result
    cdef int error                  # `errno` to Python
    cdef readonly object data

cdef Event make_event(object type_, object source, object result, int error, object data)
