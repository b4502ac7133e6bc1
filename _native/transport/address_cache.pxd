from cpython.object cimport PyObject

from zcloop._native.kernel.inet cimport sockaddr_in6


cdef enum:
    # struct sockaddr_in6, the longest address that is cached.
    CACHED_SIZE = 28

cdef struct CachedAddress:
    char[CACHED_SIZE] raw
    unsigned char size          # of raw; 0: unused
    PyObject *address           # owned tuple


cdef class AddressCache:
    cdef CachedAddress *entries

    cdef object decode(self, const void *raw, unsigned size)
    cdef int encode(self, object address, int family, char *raw) except -1
