"""What a transport has accepted and not yet sent: immutable pieces, in order.

    bytes accepted == bytes sent + `size`, after every call

A piece is let go of when the kernel has taken its last byte. A transport has a queue only while
something is queued, so that an idle one pays nothing for it.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdlib cimport free, malloc

from zcloop._native.kernel.sealed cimport seal
from zcloop._native.memory.region cimport lease_of
from zcloop._native.operation.operation cimport LENGTH_MAX


cdef object as_piece(object data):
    """What of `data` may be queued, since it stays when the program releases or changes `data`.

    This is a bytes object itself, the tuple (lease, address, size) of a view of a lease, and a copy
    of any other buffer. Raises TypeError if it is no buffer.
    """
    cdef const char *start
    cdef size_t size
    if type(data) is bytes:
        return data
    owner = lease_of(data, &start, &size)
    if owner is not None:
        return owner, <size_t> start, size
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    raise TypeError(f"data argument must be a bytes-like object, not {type(data).__name__!r}")


cdef object owner_of(object piece, const char **start, size_t *size):
    """Set where the bytes of a piece of `as_piece` are; returns what keeps them there."""
    if type(piece) is bytes:
        start[0] = PyBytes_AS_STRING(piece)
        size[0] = PyBytes_GET_SIZE(piece)
        return piece
    start[0] = <const char *> <size_t> (<tuple> piece)[1]
    size[0] = (<tuple> piece)[2]
    return (<tuple> piece)[0]


@cython.final
@cython.freelist(64)
cdef class WriteQueue:
    def __cinit__(self):
        self.pieces = self.few
        self.capacity = FEW

    def __dealloc__(self):
        self.clear()

    cdef int push(self, object owner, const char *data, size_t size) except -1:
        """Append `size` bytes at `data`, which stay there as long as `owner` lives."""
        cdef unsigned capacity
        cdef unsigned index
        cdef Piece *pieces
        cdef Piece *piece
        if self.tail - self.head == self.capacity:
            capacity = self.capacity * 4
            pieces = <Piece *> malloc(capacity * sizeof(Piece))
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
        Py_INCREF(owner)
        piece = &self.pieces[self.tail & (self.capacity - 1)]
        piece.owner = <PyObject *> owner
        piece.data = data
        piece.size = size
        self.tail += 1
        self.size += size
        return 0

    cdef Piece *first(self) noexcept:
        """The piece that is sent next; only while there is one."""
        return &self.pieces[self.head & (self.capacity - 1)]

    cdef void consume(self, size_t count) noexcept:
        """Take out the first `count` bytes: the kernel has them. `describe` has named them all.

        The books are right before any piece is let go of, since the end of a lease may run code
        that writes to the same transport.
        """
        cdef PyObject *owners[PIECES_MAX]
        cdef unsigned done = 0
        cdef unsigned index
        cdef Piece *piece
        self.size -= count
        while self.head != self.tail and done < PIECES_MAX:
            piece = self.first()
            if count < piece.size:
                piece.data += count
                piece.size -= count
                break
            count -= piece.size
            self.head += 1
            owners[done] = piece.owner
            done += 1
        for index in range(done):
            Py_DECREF(<object> owners[index])

    cdef void clear(self) noexcept:
        """Let go of all pieces. Code that this runs, by the end of a lease, finds no piece."""
        cdef Piece[FEW] few
        cdef Piece *pieces = self.pieces
        cdef unsigned index
        cdef unsigned head = self.head
        cdef unsigned tail = self.tail
        cdef unsigned mask = self.capacity - 1
        if pieces == self.few:
            few = self.few
            pieces = few
        self.pieces = self.few
        self.capacity = FEW
        self.head = self.tail = 0
        self.size = 0
        for index in range(head, tail):
            Py_DECREF(<object> pieces[index & mask].owner)
        if pieces != few:
            free(pieces)

    cdef unsigned describe(self, iovec *vector, unsigned limit) noexcept:
        """Fill `vector` with the first pieces: at most `limit`, and no more bytes than one system
        call moves. Returns how many they are."""
        cdef unsigned count = self.tail - self.head
        cdef unsigned index
        cdef size_t room = LENGTH_MAX
        cdef Piece *piece
        if count > limit:
            count = limit
        for index in range(count):
            piece = &self.pieces[(self.head + index) & (self.capacity - 1)]
            vector[index].iov_base = <void *> piece.data
            vector[index].iov_len = min(piece.size, room)
            room -= vector[index].iov_len
            if room == 0:
                return index + 1
        return count


seal(WriteQueue)
