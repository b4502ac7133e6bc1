cimport cython
from cpython.object cimport PyObject

from zcloop._native.kernel.uio cimport iovec


cdef enum:
    FEW = 4
    PIECES_MAX = 64         # so many are sent by one system call

cdef struct Piece:
    PyObject *owner         # keeps the bytes where they are: a bytes object, or a Lease; owned
    const char *data
    size_t size


@cython.final
cdef class WriteQueue:
    cdef Piece[FEW] few         # where `pieces` points until there are more
    cdef Piece *pieces          # a ring of `capacity` (a power of two)
    cdef unsigned capacity
    cdef unsigned head
    cdef unsigned tail
    cdef size_t size            # bytes not yet sent

    cdef int push(self, object owner, const char *data, size_t size) except -1
    cdef void consume(self, size_t count) noexcept
    cdef Piece *first(self) noexcept
    cdef void clear(self) noexcept
    cdef unsigned describe(self, iovec *vector, unsigned limit) noexcept

cdef object as_piece(object data)
cdef object owner_of(object piece, const char **start, size_t *size)
