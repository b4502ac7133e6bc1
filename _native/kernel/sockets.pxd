# What is asked of a socket's descriptor without an object of Python's.

from libc.stdint cimport uint64_t

cdef int socket_fd(object socket) noexcept
cdef int receive_buffer_size(int fd) noexcept nogil
cdef uint64_t file_of(int fd) noexcept nogil
cdef int accept_from(int fd) noexcept nogil
