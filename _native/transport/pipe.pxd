from zcloop._native.transport.stream cimport Stream


cdef class Pipe(Stream):
    cdef readonly object pipe       # the program's file object; it owns the fd, and is closed last

    cdef int poll_failed(self, int result, str message) except -1
