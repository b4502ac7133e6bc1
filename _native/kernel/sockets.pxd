cdef int socket_fd(object socket) noexcept
