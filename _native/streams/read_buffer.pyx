"""Bytes that were received and not yet read, in order.

Bytes that come while nothing is unread are kept as the object that they came in. Whoever reads all
of them gets that object: no copy. Only bytes that pile up are copied, once in and once out. To read
moves `start` and nothing else.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memmove

from zcloop._native.kernel.strings cimport memchr, memmem


# An emptied buffer keeps up to so many bytes of memory. More is freed, since most connections are
# idle. 64 KiB is the limit of a StreamReader by default.
cdef size_t KEEP_MAX = 64 * 1024
# The least that is allocated, in bytes: small messages that pile up do not grow it at once.
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
        self.make_room(count)
        memcpy(self.memory + self.start + self.unread, PyBytes_AS_STRING(data), count)
        self.unread += count
        return 0

    cdef int make_room(self, size_t more) except -1:
        """Move what is unread into `memory`, with room for `more` bytes behind it."""
        cdef size_t needed = self.unread + more
        cdef size_t capacity
        cdef char *grown
        if self.whole is None and self.start + needed <= self.capacity:
            return 0
        # Bytes are moved within the memory only if at least as many were read since. So all moves
        # together copy no more than was read, however small the reads are.
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
        """Read the next `count` bytes; there must be so many."""
        cdef bytes taken
        if self.whole is not None and count == <size_t> PyBytes_GET_SIZE(self.whole):
            taken = self.whole
        else:
            taken = PyBytes_FromStringAndSize(self.data(), count)
        self.drop(count)
        return taken

    cdef int drop(self, size_t count) except -1:
        """Skip the next `count` bytes; there must be so many."""
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
