from zcloop._native.kernel.export cimport Export
from zcloop._native.ipc.queue_descriptor cimport QueueDescriptor
from zcloop._native.operation.poll cimport Poll


cdef class ReceiveQueue(Poll):
    cdef QueueDescriptor descriptor
    cdef Export export          # where the message goes: the asker's memory, or memory of our own
    cdef bint is_own            # it is our own
    cdef unsigned priority
