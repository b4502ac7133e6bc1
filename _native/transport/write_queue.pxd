cimport cython
from cpython.object cimport PyObject

from zcloop._native.kernel.uio cimport iovec


cdef enum:
    FEW = 4                 # pieces that need no memory of their own: 96 bytes of a queue
    # Pieces that one system call sends: their iovecs take 1 KiB of the stack. (The kernel takes
    # 1,024, UIO_MAXIOV.)
    PIECES_MAX = 64

cdef struct Piece:
    PyObject *owner         # owned: a bytes object or a Lease, which keeps the bytes in place
    const char *data
    size_t size


@cython.final
cdef class WriteQueue:
    cdef Piece[FEW] few         # where `pieces` points until there are more
    cdef Piece *pieces          # a ring of `capacity`
    cdef unsigned capacity      # a power of two
    cdef unsigned head          # the piece that is sent next; counts on without an end
    cdef unsigned tail          # where the next piece goes, likewise
    cdef size_t size            # bytes not yet sent

    cdef int push(self, object owner, const char *data, size_t size) except -1
    cdef void consume(self, size_t count) noexcept
    cdef Piece *first(self) noexcept
    cdef void clear(self) noexcept
    cdef unsigned describe(self, iovec *vector, unsigned limit) noexcept

cdef object as_piece(object data)
cdef object owner_of(object piece, const char **start, size_t *size)
