from libc.stdint cimport uint8_t

cdef enum State:
    UNMADE          # Python made it, without what its maker sets
    NEW             # nobody has awaited it yet
    WAITING         # a task waits for it
    OVER            # it has given its result, or was closed


cdef class Awaitable:
    cdef uint8_t state
    cdef object waiter          # the future that is waited for
    cdef object result          # what `await` gives, once `advance` has it

    cdef bint run(self) except -1
    cdef bint advance(self) except -1
    cdef int woken(self) except -1
    cdef int give_up(self) except -1
    cdef str name(self)
    cdef int wait_for(self, object future) except -1
