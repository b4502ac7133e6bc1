"""Which transport of a loop has which fd.

The table is an array, since fds are small numbers. Its references are borrowed, since a transport
that nobody closes must be collected: a transport takes itself out at its end.

Rejected: an object. The collector clears references to objects when it takes a loop apart. A
transport that is collected with its loop takes itself out after that, and would find no table.
"""

from libc.errno cimport EBADF
from libc.stdlib cimport free, realloc
from libc.string cimport memset

from zcloop._native.kernel.errors cimport raise_os_error

cdef enum:
    FIRST_SIZE = 64     # of the first table, beyond the fd that it is for; 512 bytes


cdef int put_transport(TransportTable *table, int fd, object transport) except -1:
    cdef void *grown
    cdef int size
    if fd < 0:
        raise_os_error(EBADF, "a transport's descriptor")
    if fd >= table.size:
        size = fd * 2 + FIRST_SIZE
        grown = realloc(table.transports, size * sizeof(PyObject *))
        if grown == NULL:
            raise MemoryError("transports")
        table.transports = <PyObject **> grown
        memset(table.transports + table.size, 0, (size - table.size) * sizeof(PyObject *))
        table.size = size
    table.transports[fd] = <PyObject *> transport
    return 0


cdef void drop_transport(TransportTable *table, int fd, object transport) noexcept:
    """Take `transport` out, unless another one has the fd by now. Idempotent."""
    if has_transport(table, fd) and table.transports[fd] == <PyObject *> transport:
        table.transports[fd] = NULL


cdef object find_transport(TransportTable *table, int fd):
    """The transport that has this fd, or None."""
    return <object> table.transports[fd] if has_transport(table, fd) else None


cdef list list_transports(TransportTable *table):
    """Every transport that has an fd, as a new list."""
    cdef int fd
    return [<object> table.transports[fd] for fd in range(table.size) if has_transport(table, fd)]


cdef void free_table(TransportTable *table) noexcept:
    free(table.transports)
    table.transports = NULL
    table.size = 0
