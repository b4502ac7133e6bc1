"""What a transport has accepted and not yet sent: immutable pieces, in order.

accepted == sent + size, always; a piece is let go of when its last byte was taken by the kernel.
A transport has a queue only while something is queued, so that an idle one pays nothing for it.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdlib cimport free, malloc


@cython.final
@cython.freelist(64)
cdef class WriteQueue:
    def __cinit__(self):
        self.pieces = self.few
        self.capacity = FEW

    def __dealloc__(self):
        self.clear()
        if self.pieces != self.few:
            free(self.pieces)

    cdef int push(self, bytes piece, size_t offset) except -1:
        """Append a piece of which `offset` bytes are sent already (only when it is the first)."""
        cdef unsigned capacity
        cdef unsigned index
        cdef PyObject **pieces
        if self.tail - self.head == self.capacity:
            capacity = self.capacity * 4
            pieces = <PyObject **> malloc(capacity * sizeof(PyObject *))
            if pieces == NULL:
                raise MemoryError("write queue")
            for index in range(self.tail - self.head):
                pieces[index] = self.pieces[(self.head + index) & (self.capacity - 1)]
            if self.pieces != self.few:
                free(self.pieces)
            self.pieces = pieces
            self.tail -= self.head
            self.head = 0
            self.capacity = capacity
        if self.tail == self.head:
            self.offset = offset
        Py_INCREF(piece)
        self.pieces[self.tail & (self.capacity - 1)] = <PyObject *> piece
        self.tail += 1
        self.size += PyBytes_GET_SIZE(piece) - offset
        return 0

    cdef void consume(self, size_t count) noexcept:
        """The kernel took the first `count` bytes."""
        cdef PyObject *piece
        cdef size_t left
        self.size -= count
        while self.head != self.tail:
            piece = self.pieces[self.head & (self.capacity - 1)]
            left = PyBytes_GET_SIZE(<object> piece) - self.offset
            if count < left:
                self.offset += count
                return
            count -= left
            self.head += 1
            self.offset = 0
            Py_DECREF(<object> piece)

    cdef void clear(self) noexcept:
        self.consume(self.size)

    cdef unsigned describe(self, iovec *vector, unsigned limit) noexcept:
        """Fill in the first pieces, at most `limit`; returns how many."""
        cdef unsigned count = self.tail - self.head
        cdef unsigned index
        cdef PyObject *piece
        if count > limit:
            count = limit
        for index in range(count):
            piece = self.pieces[(self.head + index) & (self.capacity - 1)]
            vector[index].iov_base = PyBytes_AS_STRING(<object> piece)
            vector[index].iov_len = PyBytes_GET_SIZE(<object> piece)
        if count:
            vector[0].iov_base = <char *> vector[0].iov_base + self.offset
            vector[0].iov_len -= self.offset
        return count
