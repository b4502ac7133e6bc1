from libc.stdint cimport uint64_t

cdef int socket_fd(object socket) noexcept
cdef uint64_t file_of(int fd) noexcept nogil
