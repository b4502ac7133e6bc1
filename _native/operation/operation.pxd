# One request from birth to completion, and who is told of it.

from libc.stdint cimport uint32_t, uint8_t

from zcloop._native.kernel.uring cimport io_uring_sqe
from zcloop._native.memory.buffer_ring cimport BufferRing

cdef enum State:
    IDLE            # not with the kernel; may be submitted
    INFLIGHT        # submitted; a terminal completion will come
    CANCELLING      # a cancel was asked for; the terminal completion still comes
    PARKED          # taken back while the loop does not run; submitted again when it does
    STARVED         # no slot of its buffer ring is free; submitted again when there is one

cdef enum:
    NOT_YET = -0x10000      # what `settle` says (no errno): the operation is to be submitted again

cdef enum:
    # Milliseconds between two looks whether a process has died with what an operation waits for.
    # Nothing tells of such a death, and each look costs a waiter some system calls.
    HEAL_MS = 1000

cdef enum:
    # The most bytes that one system call moves (MAX_RW_COUNT of the kernel).
    LENGTH_MAX = 0x7FFFF000


# What an SQE can say of a size. It has 32 bits: 4 GiB would be 0, and a byte more would be 1.
cdef inline unsigned length_of(size_t size) noexcept nogil:
    return <unsigned> (size if size < LENGTH_MAX else LENGTH_MAX)


cdef class Owner:
    # Called once for each completion, on the loop's thread. `flags & CQE_F_MORE` says that more
    # follow. Without it the operation is IDLE again, and this method may submit it anew.
    cdef int completed(self, Operation operation, int result, uint32_t flags) except -1
    # Asked before the channel submits an operation of its own accord: is the fd still the owner's?
    cdef bint is_fd_ours(self) noexcept


cdef class Operation:
    cdef Owner owner            # None: nobody wants the result any more; it is discarded
    cdef BufferRing pool        # where the kernel takes slots for it; None: the owner's memory
    cdef int fd
    cdef uint32_t slot          # its place in the channel's table while not IDLE
    cdef uint8_t state
    cdef uint8_t is_word_wait   # it waits for a word of memory, for which a thread can wait as well
    cdef uint8_t is_refused     # the kernel knows no such request
    cdef bint is_notified       # after its result, the kernel says when it is done with the memory
    cdef bint is_poll           # its result is a mask: see Poll
    cdef bint has_left          # the kernel has let go of its file; the completion is queued

    cdef void prepare(self, io_uring_sqe *sqe) noexcept
    cdef int settle(self, int result) noexcept
    cdef object outcome(self, int result)
    cdef void discard(self, int result, uint32_t flags) noexcept
    cdef object memory(self)
    cdef int use_thread(self) except -1
    cdef bint heal_words(self) noexcept
