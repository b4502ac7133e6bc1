# Memory in which threads and processes agree on who has what.

from libc.stdint cimport uint32_t

from zcloop._native.kernel.export cimport Export

cdef enum Kind:
    # The first word of an object: its kind, and the version of its layout.
    SEMAPHORE = 0x7A635301
    MUTEX = 0x7A634D02
    READ_WRITE_LOCK = 0x7A635202
    BARRIER = 0x7A634201
    MAKING = 0x7A630000     # its creator has not finished

# Where a waiter sleeps: on this word, while the word has this value.
cdef struct Sleep:
    uint32_t *word
    uint32_t expected


cdef class Words:
    cdef char *start                # NULL: not made yet, or closed
    cdef Export export              # the program's buffer, if `has_view`
    cdef bint has_view
    cdef void *block                # private memory
    cdef object keeper              # what keeps foreign memory in place
    cdef unsigned users             # operations that wait here
    cdef readonly bint is_shared    # in a buffer of the program's
    cdef readonly bint is_robust    # a process that died may hold it: see `heal`

    cdef int map(self, object buffer, Py_ssize_t offset, size_t size) except -1
    cdef int check_place(self, Py_ssize_t offset, size_t size) except -1
    cdef int create(self, object buffer, Py_ssize_t offset, size_t size, Kind kind) except -1
    cdef int publish(self, Kind kind, uint32_t parameter) except -1
    cdef int attach_to(self, object buffer, Py_ssize_t offset, size_t size, Kind kind) except -1
    cdef uint32_t parameter(self) noexcept nogil
    cdef int check_open(self) except -1
    cdef void let_go(self) noexcept
    cdef object name(self)

    # What an operation needs that acquires this.
    cdef Sleep look(self) noexcept nogil
    cdef int acquire(self) noexcept nogil
    cdef bint is_contended(self) noexcept nogil
    cdef void enlist(self) noexcept nogil
    cdef void leave(self) noexcept nogil
    cdef void pass_on(self) noexcept nogil
    cdef bint heal(self) noexcept
