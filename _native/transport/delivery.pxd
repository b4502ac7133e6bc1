from cpython.object cimport PyObject

from zcloop._native.kernel.flag cimport flag
from zcloop._native.memory.buffer_ring cimport BufferRing
from zcloop._native.transport.inlet cimport Inlet

cdef enum:
    # Bytes that one direct receive may bring. Pieces of 64 or 128 KiB cost up to twice the CPU.
    SPACE_SIZE = 256 * 1024

cdef struct Space:              # memory for a direct receive
    char *memory
    size_t size
    PyObject *owner             # owned: what the memory is part of; NULL where it is a buffer
    Py_buffer buffer            # what a BufferedProtocol has offered


cdef class Delivery:
    cdef flag lends             # to a ZeroCopyProtocol

    cdef int deliver_slot(self, Inlet inlet, BufferRing pool, unsigned slot,
                          size_t size) except -1
    cdef int deliver(self, Inlet inlet, object data) except -1
    cdef bint make_space(self, Inlet inlet, Space *space) except -1
    cdef int drop_space(self, Space *space) except -1
    cdef int deliver_space(self, Inlet inlet, Space *space, size_t size) except -1


cdef bytes bytes_of(object data)
cdef Delivery delivery_to(object protocol, bint may_be_buffered)
cdef Delivery delivery_to_nobody()
