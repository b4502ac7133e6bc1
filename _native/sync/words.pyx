"""Memory in which threads and processes agree on who has what: private, or in a shared buffer.

Every object begins with two 32-bit words: its kind, and a parameter that never changes. The module
of each kind describes the rest. The creator writes the kind last, so whoever attaches sees all
of the rest. Nothing in the memory is a pointer, so each process may map it at another address. A
buffer stays exported, so that it cannot be unmapped, until `close`, or until the object and every
operation on it have ended.

An operation acquires an object by the methods under "acquiring", which all kinds share:

    acquire         try it now
    is_contended    is somebody waiting already?
    enlist          be counted as a waiter, before one sleeps
    look            where to sleep, and at which value
    leave           be counted no longer
    pass_on         wake another waiter, since a wake-up was not used
    heal            undo what a process left that died
"""

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.errno cimport EINVAL
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from zcloop._native.kernel.futex cimport load32, store32, swap32

# Bytes: the 64-bit words in an object must be atomic.
cdef size_t ALIGNMENT = 8


cdef class Words:
    def __dealloc__(self):
        self.let_go()

    def __reduce__(self):
        raise TypeError(f"a {self.name()} cannot be pickled: hand over its memory, and attach "
                        "to it there")

    def close(self):
        """Let the buffer go; idempotent. What is in it stays, for others that use it.

        BufferError while something waits here by this object.
        """
        if self.users:
            raise BufferError(f"{self.users} still wait for this {self.name()}: cancel them "
                              "first")
        self.let_go()

    @property
    def closed(self):
        """Whether `close` was called, or the object was never made."""
        return self.start == NULL

    cdef object name(self):
        return type(self).__name__

    cdef void let_go(self) noexcept:
        self.start = NULL
        free(self.block)
        self.block = NULL
        if self.has_view:
            self.has_view = False
            PyBuffer_Release(&self.export.view)
        self.keeper = None

    cdef int check_open(self) except -1:
        if self.start == NULL:
            raise ValueError(f"this {self.name()} is closed, or was never made")
        return 0

    # ---- making --------------------------------------------------------------------------------

    cdef int map(self, object buffer, Py_ssize_t offset, size_t size) except -1:
        if self.start != NULL:
            raise RuntimeError(f"this {self.name()} is made already")
        if buffer is None:
            if offset:
                raise ValueError("an offset needs a buffer")
            self.block = calloc(1, size)
            if self.block == NULL:
                raise MemoryError(self.name())
            self.start = <char *> self.block
            return 0
        try:
            PyObject_GetBuffer(buffer, &self.export.view, PyBUF_WRITABLE)
        except BufferError:
            raise BufferError(f"a {self.name()} needs writable, contiguous memory, which this "
                              f"{type(buffer).__name__} is not") from None
        self.has_view = True
        try:
            self.check_place(offset, size)
        except BaseException:
            self.let_go()
            raise
        self.start = <char *> self.export.view.buf + offset
        self.is_shared = True
        return 0

    cdef int check_place(self, Py_ssize_t offset, size_t size) except -1:
        cdef Py_ssize_t room = self.export.view.len
        if offset < 0 or offset > room or <size_t> (room - offset) < size:
            raise ValueError(f"a {self.name()} takes {size} bytes, and the buffer has "
                             f"{room}, of which offset {offset} leaves too few")
        if (<size_t> self.export.view.buf + offset) % ALIGNMENT:
            raise ValueError(f"a {self.name()} lies at a multiple of {ALIGNMENT} bytes: offset "
                             f"{offset} of this buffer is none")
        return 0

    cdef int create(self, object buffer, Py_ssize_t offset, size_t size, Kind kind) except -1:
        """Zeroed memory that is this object's. Others see the object from `publish` on."""
        cdef uint32_t seen = 0
        self.map(buffer, offset, size)
        if not swap32(<uint32_t *> self.start, &seen, MAKING):
            self.let_go()
            raise ValueError(f"offset {offset} is in use: attach() to what is there, or clear "
                             "these bytes first")
        memset(self.start + 4, 0, size - 4)
        return 0

    cdef int publish(self, Kind kind, uint32_t parameter) except -1:
        store32(<uint32_t *> self.start + 1, parameter)
        store32(<uint32_t *> self.start, kind)
        return 0

    cdef int attach_to(self, object buffer, Py_ssize_t offset, size_t size, Kind kind) except -1:
        if buffer is None:
            raise TypeError("attach() needs the buffer in which another process made it")
        self.map(buffer, offset, size)
        if load32(<uint32_t *> self.start) != kind:
            self.let_go()
            raise ValueError(f"there is no {self.name()} at offset {offset}: the process that "
                             "makes it must do so before others attach")
        return 0

    cdef uint32_t parameter(self) noexcept nogil:
        return load32(<uint32_t *> self.start + 1)

    # ---- acquiring -----------------------------------------------------------------------------

    cdef Sleep look(self) noexcept nogil:
        """Where to sleep now. A wait with a value that the word does not have ends at once."""
        cdef Sleep nowhere
        nowhere.word = <uint32_t *> self.start
        nowhere.expected = ~load32(nowhere.word)
        return nowhere

    cdef int acquire(self) noexcept nogil:
        """0: acquired. -EAGAIN: others have it. -EOWNERDEAD: acquired, and its last holder died
        holding it. Another -errno: it will never be acquired, as a barrier."""
        return -EINVAL

    cdef bint is_contended(self) noexcept nogil:
        return False

    cdef void enlist(self) noexcept nogil:
        pass

    cdef void leave(self) noexcept nogil:
        pass

    cdef void pass_on(self) noexcept nogil:
        pass

    cdef bint heal(self) noexcept:
        """Undo what a process left that died. Whether there was something."""
        return False
