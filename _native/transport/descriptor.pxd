from libc.stdint cimport uint64_t

from zcloop._native.channel.loop_channel cimport LoopChannel
from zcloop._native.loop.client cimport Client
from zcloop._native.loop.core cimport Core
from zcloop._native.operation.operation cimport IDLE, Operation
from zcloop._native.operation.poll cimport Poll


cdef class Descriptor(Client):
    # There are as many of these as connections: no small field, which would be padded to 8 bytes.
    cdef readonly Core core
    cdef LoopChannel channel
    cdef readonly object socket         # the Python socket of the fd, made when asked for
    cdef uint64_t peer_head             # the peer's raw sockaddr; 0: there is no peer
    cdef bytes peer                     # the peer's whole sockaddr, where that is longer
    cdef bytes local                    # the socket's own sockaddr, once it was asked for
    cdef Poll write_poll                # in flight while the socket's buffer is full

    cdef bint read_peer(self) except -1
    cdef int enter_table(self) except -1
    cdef int take_fd(self) except -1
    cdef int close_fd(self) except -1
    cdef int drop_fd(self) except -1
    cdef int release_fd(self) except -1
    cdef int recall(self, Operation operation) except -1
    cdef int forget(self, Operation operation) except -1

    # What a kind of descriptor says of itself.
    cdef bint is_given_up(self) noexcept        # nobody may make a Python socket of the fd any more
    cdef bint is_idle(self) noexcept            # no operation of its own is in flight
    cdef bint has_left_kernel(self) noexcept    # none has the fd's file; completions may be queued
    cdef int recall_operations(self) except -1  # `recall` of each, but for `write_poll`
    cdef int forget_operations(self) except -1  # `forget` of each, but for `write_poll`


cdef inline bint is_resting(Operation operation) noexcept:
    """Whether the operation may be submitted or forgotten."""
    return operation is None or operation.state == IDLE

cdef inline bint has_left(Operation operation) noexcept:
    """Whether the kernel has the fd's file for this operation no longer."""
    return operation is None or operation.state == IDLE or operation.has_left
