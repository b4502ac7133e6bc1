# The regions of this process, and those that it inherited by a fork.

ctypedef int (*Abandon)(object region) except -1

cdef int abandon_by(Abandon abandon) except -1
cdef int add_region(object region) except -1
