cimport cython
from cpython.object cimport PyObject

from zcloop._native.operation.send cimport iovec


cdef enum:
    FEW = 4


@cython.final
cdef class WriteQueue:
    cdef PyObject *few[FEW]     # where `pieces` points until there are more
    cdef PyObject **pieces      # owned bytes objects, a ring of `capacity` (a power of two)
    cdef unsigned capacity
    cdef unsigned head
    cdef unsigned tail
    cdef size_t offset          # bytes of the first piece that were sent
    cdef size_t size            # bytes not yet sent

    cdef int push(self, bytes piece, size_t offset) except -1
    cdef void consume(self, size_t count) noexcept
    cdef void clear(self) noexcept
    cdef unsigned describe(self, iovec *vector, unsigned limit) noexcept
