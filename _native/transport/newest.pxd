from libc.stdint cimport uint64_t

from zcloop._native.kernel.pthread cimport pthread_mutex_t, pthread_t
from zcloop._native.memory.lender cimport Lender
from zcloop._native.operation.receive_message cimport NAME_SIZE

cdef struct Arrived:
    size_t size             # bytes of the datagram
    char[NAME_SIZE] name    # the sender's sockaddr, which is aligned as it follows a size_t
    unsigned name_size
    unsigned block          # the index in `memory` of the block that the datagram is in

# What the two threads share. `lock` guards all that changes while the thread runs. The block that
# is being filled is the thread's alone, and the one that was taken is the loop's.
cdef struct Shelf:
    pthread_mutex_t lock
    Arrived *arrived        # a ring of `depth`, oldest first
    unsigned depth
    unsigned first
    unsigned count
    char **memory           # depth + 2 blocks of DATAGRAM_SIZE bytes
    unsigned *free          # the indexes of unused blocks
    unsigned free_count
    uint64_t dropped        # datagrams that gave way
    int failed              # errno of the last receive that failed; 0: none
    bint is_told            # event_fd was written and not read since
    int fd                  # the socket's, a duplicate
    int event_fd            # wakes the loop
    int stop_fd             # ends the thread
    int poller              # an epoll of `fd` and `stop_fd`


cdef class Newest:
    cdef Shelf *shelf
    cdef pthread_t thread
    cdef bint is_running
    cdef list blocks        # the Leases that own the blocks of `memory`, by index

    cdef int start(self) except -1
    cdef int stop(self) noexcept
    cdef int event_fd(self) noexcept
    cdef void forget_event(self) noexcept
    cdef void look_again(self) noexcept
    cdef int pop_error(self) noexcept
    cdef bint take(self, Arrived *taken) noexcept
    cdef void give(self, Arrived *taken) noexcept
    cdef object lend(self, Lender lender, Arrived *taken)
