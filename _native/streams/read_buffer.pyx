"""Bytes that were received and not yet read, in order.

What comes while nothing is unread is kept as the bytes object that it came in, and that object is
what who reads all of it gets: no copy. Only what piles up is copied, once in and once out.
Reading moves `start` and nothing else.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memmove

from zcloop._native.kernel.strings cimport memchr, memmem


# What an emptied buffer keeps; more goes back, for most connections are idle.
cdef size_t KEEP_MAX = 64 * 1024
cdef size_t CAPACITY_MIN = 1024


cdef class ReadBuffer(Receiver):
    def __dealloc__(self):
        free(self.memory)

    cdef int receive(self, bytes data) except -1:
        return self.append(data)

    cdef int append(self, bytes data) except -1:
        cdef size_t count = PyBytes_GET_SIZE(data)
        if self.unread == 0:
            self.whole = data
            self.start = 0
            self.unread = count
            return 0
        self.reserve(count)
        memcpy(self.memory + self.start + self.unread, PyBytes_AS_STRING(data), count)
        self.unread += count
        return 0

    cdef int reserve(self, size_t more) except -1:
        """Have what is unread in `memory`, with room for `more` bytes behind it."""
        cdef size_t needed = self.unread + more
        cdef size_t capacity
        cdef char *grown
        if self.whole is None and self.start + needed <= self.capacity:
            return 0
        # Moved within its memory only when at least half of that has been read since.
        if needed <= self.capacity and (self.whole is not None or self.start >= self.unread):
            memmove(self.memory, self.data(), self.unread)
        else:
            capacity = max(2 * self.capacity, max(needed, CAPACITY_MIN))
            grown = <char *> malloc(capacity)
            if grown == NULL:
                raise MemoryError("received bytes")
            memcpy(grown, self.data(), self.unread)
            free(self.memory)
            self.memory = grown
            self.capacity = capacity
        self.whole = None
        self.start = 0
        return 0

    cdef bytes cut(self, size_t count):
        """The next `count` bytes, of which there are so many."""
        cdef bytes taken
        if self.whole is not None and count == <size_t> PyBytes_GET_SIZE(self.whole):
            taken = self.whole
        else:
            taken = PyBytes_FromStringAndSize(self.data(), count)
        self.drop(count)
        return taken

    cdef int drop(self, size_t count) except -1:
        """As `cut`, and nobody wants them."""
        self.start += count
        self.unread -= count
        if self.unread == 0:
            self.start = 0
            self.whole = None
            if self.capacity > KEEP_MAX:
                free(self.memory)
                self.memory = NULL
                self.capacity = 0
        return 0

    cdef Py_ssize_t find(self, bytes separator, size_t offset) except -2:
        """Where `separator` begins for the first time from `offset` on, or -1."""
        cdef const char *data = self.data()
        cdef size_t length = PyBytes_GET_SIZE(separator)
        cdef const char *found
        if self.unread < offset + length:
            return -1
        if length == 1:
            found = <const char *> memchr(data + offset, PyBytes_AS_STRING(separator)[0],
                                          self.unread - offset)
        else:
            found = <const char *> memmem(data + offset, self.unread - offset,
                                          PyBytes_AS_STRING(separator), length)
        return found - data if found != NULL else -1
