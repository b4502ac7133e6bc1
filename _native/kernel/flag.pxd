# A bint of one byte, for what exists once a connection. Cython's own bint has four.

cdef extern from *:
    ctypedef bint flag "_Bool"
