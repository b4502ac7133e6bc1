from cpython.object cimport PyObject

cdef struct TransportTable:
    PyObject **transports       # by fd; borrowed, and NULL where the fd is no transport's
    int size


cdef inline bint has_transport(TransportTable *table, int fd) noexcept:
    return 0 <= fd < table.size and table.transports[fd] != NULL


cdef int put_transport(TransportTable *table, int fd, object transport) except -1
cdef void drop_transport(TransportTable *table, int fd, object transport) noexcept
cdef object find_transport(TransportTable *table, int fd)
cdef list list_transports(TransportTable *table)
cdef void free_table(TransportTable *table) noexcept
