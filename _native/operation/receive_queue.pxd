from zcloop._native.kernel.queue_descriptor cimport QueueDescriptor
from zcloop._native.operation.poll cimport Poll


cdef class ReceiveQueue(Poll):
    cdef QueueDescriptor descriptor
    cdef Py_buffer view             # where the message goes: the asker's memory, or our own bytes
    cdef bint is_own
    cdef unsigned priority
