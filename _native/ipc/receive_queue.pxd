from zcloop._native.kernel.export cimport Export
from zcloop._native.ipc.queue_descriptor cimport QueueDescriptor
from zcloop._native.operation.poll cimport Poll


cdef class ReceiveQueue(Poll):
    cdef QueueDescriptor descriptor
    cdef Export export          # where the message goes: the asker's memory, or our own bytes
    cdef bint is_own
    cdef unsigned priority
