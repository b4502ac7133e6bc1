# Limits of C's types that Cython's libc.stdint lacks.

cdef extern from "<stdint.h>" nogil:
    const size_t NEVER "SIZE_MAX"       # as a threshold: a number of bytes that nothing reaches
