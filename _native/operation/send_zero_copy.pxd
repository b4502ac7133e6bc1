from zcloop._native.memory.region cimport Lease
from zcloop._native.operation.operation cimport Operation, Owner


cdef class SendZeroCopy(Operation):
    cdef Lease lease            # the memory; held until the kernel's notification
    cdef const char *data
    cdef size_t size            # bytes, at most what one call takes; the rest is for another call
    cdef int pin                # registered buffer that holds it, or -1
    cdef char[128] name         # where a datagram goes, unless the socket is connected
    cdef unsigned name_size

cdef SendZeroCopy make_send_zero_copy(Owner owner, int fd, Lease lease, const char *data,
                                      size_t size, int pin)
