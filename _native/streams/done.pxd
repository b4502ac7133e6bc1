cdef class Done:
    pass

cdef Done DONE
