from zcloop._native.operation.poll cimport Poll


cdef class WaitChild(Poll):
    cdef object waited      # os.waitid's result, once the child has been reaped
