from zcloop._native.memory.buffer_ring cimport BufferRing
from zcloop._native.operation.operation cimport Operation, Owner
from zcloop._native.kernel.uio cimport msghdr

cdef enum:
    # Room for the sender's address in front of each payload: sizeof(struct sockaddr_storage).
    NAME_SIZE = 128


cdef class ReceiveMessage(Operation):
    cdef msghdr message

cdef ReceiveMessage make_receive_message(Owner owner, int fd, BufferRing pool,
                                         size_t control_size)
