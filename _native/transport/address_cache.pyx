"""Addresses of a datagram socket's peers, in the kernel's form and in Python's, so that few are
converted twice.

The port chooses the entry, and a newer address replaces the older one there. A reply goes to the
very address object that datagram_received brought, and is found by identity; any other address is
parsed. Only numeric IPv4 and IPv6 addresses are cached: a name needs a resolver, and an address of
a family without ports is converted each time.
"""

from cpython.ref cimport Py_DECREF, Py_INCREF
from cpython.tuple cimport PyTuple_GET_SIZE
from libc.stdint cimport uint16_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset, strlen

from zcloop._native.kernel.address cimport (
    AF_INET, AF_INET6, address_of, sockaddr_storage,
)
from zcloop._native.kernel.cpython cimport PyUnicode_AsUTF8AndSize
from zcloop._native.kernel.inet cimport htonl, htons, inet_pton, sockaddr_in, sockaddr_in6
from zcloop._native.kernel.sealed cimport seal

cdef enum:
    ENTRIES = 64        # for each socket, of 40 bytes


cdef bint is_within(tuple address, Py_ssize_t index, object largest) except -1:
    """Whether this part is a number that Python's socket would accept, too."""
    part = address[index]
    return type(part) is int and 0 <= part <= largest


cdef bint parse(int family, str text, void *found) except -1:
    """Whether ASCII text, all of it, is a numeric address."""
    cdef Py_ssize_t size
    cdef const char *start = PyUnicode_AsUTF8AndSize(text, &size)
    return <Py_ssize_t> strlen(start) == size and inet_pton(family, start, found) == 1


cdef class AddressCache:
    def __cinit__(self):
        self.entries = <CachedAddress *> calloc(ENTRIES, sizeof(CachedAddress))
        if self.entries == NULL:
            raise MemoryError("address cache")

    def __dealloc__(self):
        cdef unsigned index
        for index in range(ENTRIES):
            if self.entries[index].address != NULL:
                Py_DECREF(<object> self.entries[index].address)
        free(self.entries)

    cdef object decode(self, const void *raw, unsigned size):
        """The Python address of a raw sockaddr, or None if that has none."""
        cdef CachedAddress *entry
        cdef uint16_t port
        if size > CACHED_SIZE or size < 8:
            return address_of(<const sockaddr_storage *> raw, size)
        port = (<const uint16_t *> raw)[1]
        entry = &self.entries[(port ^ (port >> 8)) % ENTRIES]
        if entry.size == size and memcmp(entry.raw, raw, size) == 0:
            return <object> entry.address
        address = address_of(<const sockaddr_storage *> raw, size)
        if address is None:
            return None
        if entry.address != NULL:
            Py_DECREF(<object> entry.address)
        memcpy(entry.raw, raw, size)
        entry.size = size
        entry.address = <PyObject *> address
        Py_INCREF(address)
        return address

    cdef int encode(self, object address, int family, char *raw) except -1:
        """Write the sockaddr of a numeric address, of at most CACHED_SIZE bytes, and return its
        size. 0 if only a resolver, or Python's socket for another family, can convert it."""
        cdef CachedAddress *entry
        cdef uint16_t port
        cdef int number
        cdef Py_ssize_t parts
        cdef sockaddr_in *four
        cdef sockaddr_in6 *six
        if type(address) is not tuple:
            return 0
        parts = PyTuple_GET_SIZE(address)
        if (parts < 2 or type((<tuple> address)[0]) is not str
                or type((<tuple> address)[1]) is not int):
            return 0
        if not (<str> (<tuple> address)[0]).isascii() or not is_within(address, 1, 65535):
            return 0
        number = (<tuple> address)[1]
        port = htons(number)
        entry = &self.entries[(port ^ (port >> 8)) % ENTRIES]
        if entry.address == <PyObject *> address:
            memcpy(raw, entry.raw, entry.size)
            return entry.size
        if family == AF_INET and parts == 2:
            four = <sockaddr_in *> <void *> raw
            memset(raw, 0, sizeof(sockaddr_in))
            four.sin_family = AF_INET
            four.sin_port = port
            if not parse(AF_INET, (<tuple> address)[0], &four.sin_addr):
                return 0
            return sizeof(sockaddr_in)
        if family == AF_INET6 and parts <= 4:
            six = <sockaddr_in6 *> <void *> raw
            memset(raw, 0, sizeof(sockaddr_in6))
            six.sin6_family = AF_INET6
            six.sin6_port = port
            if parts > 2:
                if not is_within(address, 2, 0xFFFFF):
                    return 0
                six.sin6_flowinfo = htonl((<tuple> address)[2])
            if parts > 3:
                if not is_within(address, 3, 0xFFFFFFFF):
                    return 0
                six.sin6_scope_id = (<tuple> address)[3]
            if not parse(AF_INET6, (<tuple> address)[0], &six.sin6_addr):
                return 0
            return sizeof(sockaddr_in6)
        return 0


seal(AddressCache)
