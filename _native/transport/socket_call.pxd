from cpython.buffer cimport Py_buffer
from libc.stdint cimport uint8_t

from zcloop._native.loop.awaitable cimport Awaitable
from zcloop._native.loop.core cimport Core
from zcloop._native.loop.socket_wait cimport SocketWait

cdef enum Kind:
    RECEIVE
    RECEIVE_INTO
    SEND_ALL


cdef class SocketCall(Awaitable):
    cdef Core core
    cdef object socket
    cdef uint8_t kind
    cdef Py_ssize_t size        # bytes that may be received, or are left to send
    cdef object data            # the buffer that is sent or received into
    cdef Py_buffer view         # of `data`, while `has_view`
    cdef bint has_view
    cdef const char *start      # where what is left to send begins
    cdef SocketWait wait        # the wait for readiness that goes on, or None
    cdef SocketWait before      # the last wait: the socket was not ready after all

    cdef int begin(self) except -1
    cdef ssize_t attempt(self, int fd) except? -1
    cdef ssize_t receive(self, int fd) except? -1
    cdef ssize_t receive_into(self, int fd) except? -1
    cdef ssize_t send_rest(self, int fd) noexcept
    cdef int let_go(self) except -1

cdef SocketCall make_socket_call(
    Core core, Kind kind, object socket, Py_ssize_t size, object data)
