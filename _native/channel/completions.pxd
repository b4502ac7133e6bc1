cimport cython
from libc.stdint cimport uint32_t, uint64_t

cdef struct Completion:
    uint64_t token
    int result
    uint32_t flags


@cython.final
cdef class Completions:
    cdef Completion *queued
    cdef uint32_t capacity
    cdef uint32_t head                  # the first that is queued; `tail` when there is none
    cdef uint32_t tail

    cdef int grow(self) except -1

    cdef inline bint is_empty(self) noexcept:
        return self.head == self.tail

    cdef inline int append(self, uint64_t token, int result, uint32_t flags) except -1:
        cdef Completion *completion
        if self.tail == self.capacity:
            self.grow()
        completion = &self.queued[self.tail]
        completion.token = token
        completion.result = result
        completion.flags = flags
        self.tail += 1
        return 0

    cdef inline Completion pop(self) noexcept:
        """The first that is queued, when there is one."""
        cdef Completion completion = self.queued[self.head]
        self.head += 1
        if self.head == self.tail:
            self.head = self.tail = 0
        return completion
