from zcloop._native.kernel.export cimport Export
from zcloop._native.ipc.queue_descriptor cimport QueueDescriptor
from zcloop._native.operation.poll cimport Poll


cdef class SendQueue(Poll):
    cdef QueueDescriptor descriptor
    cdef Export export          # the message, in the asker's memory
    cdef unsigned priority
