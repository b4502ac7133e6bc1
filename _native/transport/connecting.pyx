"""From a numeric address to a connected stream: no Python socket, no resolver, no exception.

Over loopback the peer has answered before connect(2) returns EINPROGRESS. A stream asks for its
peer's address in any case, and gets it only if the connection stands (getpeername(2)). So there is
something to wait for only when it gets none.
"""

from libc.errno cimport ENOTCONN
from libc.string cimport strlen

from zcloop._native.kernel.address cimport numeric_address, sockaddr_storage, socklen_t
from zcloop._native.kernel.cpython cimport PyUnicode_AsUTF8AndSize
from zcloop._native.kernel.errors cimport os_error
from zcloop._native.kernel.poll cimport POLLOUT
from zcloop._native.kernel.tcp cimport connect_tcp, socket_error
from zcloop._native.loop.core cimport Core
from zcloop._native.operation.poll cimport make_poll
from zcloop._native.transport.stream cimport Stream


def connect_stream(Core core not None, str host not None, int port):
    """A stream that is connected, or is connecting: `has_peer` tells which.

    None if `host` is no numeric address, or if `port` cannot be a peer's. OSError if the connection
    is refused at once.
    """
    cdef sockaddr_storage address
    cdef Py_ssize_t length
    cdef const char *text = PyUnicode_AsUTF8AndSize(host, &length)
    cdef socklen_t size
    cdef int fd = -1
    cdef int failed
    if <Py_ssize_t> strlen(text) != length:
        return None
    size = numeric_address(text, port, &address)
    if size == 0:
        return None
    failed = connect_tcp(&address, size, &fd)
    if failed:
        raise os_error(failed, None)
    return Stream(core, fd)


async def finish_connecting(Stream stream not None, tuple address):
    """Wait until a stream is connected.

    Raises an OSError that names `address` if it cannot be connected, and whatever the waiting
    raises. The stream is dropped then.
    """
    cdef int failed = 0
    try:
        failed = socket_error(stream.fd)
        if not failed:
            await stream.core.perform(make_poll(None, stream.fd, POLLOUT))
            if not stream.read_peer():
                failed = socket_error(stream.fd) or ENOTCONN
        if failed:
            raise os_error(failed, f"Connect call failed {address}")
    except BaseException:
        stream.drop()
        raise
