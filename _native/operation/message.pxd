from zcloop._native.operation.request cimport Request
from zcloop._native.kernel.uio cimport msghdr


cdef class Message(Request):
    cdef msghdr header
    cdef char[128] name             # the sender's address, as the kernel writes it
    cdef object control             # ancillary data: bytes to send, or a bytearray to fill
    cdef bint is_whole              # the outcome is that of recvmsg, else that of recvfrom

    cdef int set_name(self, object address) except -1
    cdef list ancillary(self)
