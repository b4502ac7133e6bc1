from libc.stdint cimport uint64_t

from zcloop._native.kernel.pthread cimport pthread_mutex_t, pthread_t
from zcloop._native.memory.lender cimport Lender
from zcloop._native.operation.receive_message cimport NAME_SIZE

cdef struct Arrived:
    size_t size
    char[NAME_SIZE] name    # aligned for a sockaddr, as it follows a size_t
    unsigned name_size
    unsigned block          # where it is: an index of `memory`

# What the two threads share. `lock` guards all that is not constant while the thread runs, but for
# the one block that is being filled (the thread's) and the one that was taken (the loop's).
cdef struct Shelf:
    pthread_mutex_t lock
    Arrived *arrived        # a ring of `depth`, oldest first
    unsigned depth
    unsigned first
    unsigned count
    char **memory           # depth + 2 blocks of DATAGRAM_SIZE bytes
    unsigned *free          # of these the unused ones
    unsigned free_count
    uint64_t dropped
    int failed              # errno of the last receive that failed; 0: none
    bint is_told            # event_fd was written and not read since
    int fd
    int event_fd
    int stop_fd
    int poller              # an epoll of these two


cdef class Newest:
    cdef Shelf *shelf
    cdef pthread_t thread
    cdef bint is_running
    cdef list blocks        # the Leases behind `memory`

    cdef int start(self) except -1
    cdef int stop(self) noexcept
    cdef int event_fd(self) noexcept
    cdef void forget_event(self) noexcept
    cdef void look_again(self) noexcept
    cdef int take_error(self) noexcept
    cdef bint take(self, Arrived *taken) noexcept
    cdef void give(self, Arrived *taken) noexcept
    cdef object lend(self, Lender lender, Arrived *taken)
