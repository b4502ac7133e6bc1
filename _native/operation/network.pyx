"""What a socket is asked for by one system call of the ring: recv, send, accept, connect.

Every function makes a request and submits nothing.
"""

from libc.stdint cimport uint64_t

from zcloop._native.kernel.address cimport family_of
from zcloop._native.kernel.socket cimport MSG_NOSIGNAL, SOCK_CLOEXEC
from zcloop._native.kernel.uring cimport OP_ACCEPT, OP_CONNECT, OP_RECV, OP_SEND
from zcloop._native.operation.request cimport Request, make_request

from zcloop._native.kernel.address import encode_address


def recv(int fd, buffer, int flags=0):
    """Receive into a writable buffer. The result is how many bytes came; 0 is the end."""
    cdef Request request = make_request(OP_RECV, fd)
    request.set_memory(buffer, True)
    request.sqe.msg_flags = flags
    return request


def send(int fd, buffer, int flags=0):
    """Send a buffer, which must not change meanwhile. The result is how many bytes were taken. It
    never raises SIGPIPE."""
    cdef Request request = make_request(OP_SEND, fd)
    request.set_memory(buffer, False)
    request.sqe.msg_flags = flags | MSG_NOSIGNAL
    return request


def accept(int fd, int flags=0):
    """Accept a connection. The result is a new fd, close-on-exec; it is closed again if nobody
    wants it any more when it comes."""
    cdef Request request = make_request(OP_ACCEPT, fd)
    request.sqe.accept_flags = flags | SOCK_CLOEXEC
    return request


def connect(int fd, address):
    """Connect to a numeric address of the socket's family. The result is 0."""
    cdef bytes raw = encode_address(family_of(fd), address)
    cdef Request request = make_request(OP_CONNECT, fd)
    request.kept = raw
    request.sqe.addr = <size_t> <const char *> raw
    request.sqe.off = <uint64_t> len(raw)
    return request
