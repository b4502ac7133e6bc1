# A bint of one byte, for structs that exist once a connection: a plain one has four.

cdef extern from *:
    ctypedef bint flag "_Bool"
