from cpython.object cimport PyObject


cdef enum:
    CACHED_SIZE = 28            # sizeof(struct sockaddr_in6), the longest address that is cached

cdef struct CachedAddress:
    char[CACHED_SIZE] raw
    unsigned char size          # bytes of raw; 0: the entry is unused
    PyObject *address           # owned tuple


cdef class AddressCache:
    cdef CachedAddress *entries     # ENTRIES of them

    cdef object decode(self, const void *raw, unsigned size)
    cdef int encode(self, object address, int family, char *raw) except -1
