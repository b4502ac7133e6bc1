"""From a numeric address to a connected stream: no Python socket, no resolver, no exception.

Over loopback the peer has answered when connect(2) returns -EINPROGRESS: that the peer's address
can be asked, which is asked in any case, says so. Only otherwise is there something to wait for.
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
    """A stream that is connected, or is about to be: `has_peer` tells.

    None where `host` is no numeric address or `port` none of a peer; OSError when refused at once.
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
    """Wait until a stream is connected; OSError naming `address` when it cannot be, and whatever
    the waiting raises: the stream is dropped then."""
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
