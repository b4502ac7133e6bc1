# The datagrams of one socket that have not left yet, in their order. A value inside the transport:
# its lock is the transport's `is_busy`.

from cpython.object cimport PyObject

from zcloop._native.kernel.uio cimport iovec
from zcloop._native.transport.address_cache cimport CACHED_SIZE

cdef enum:
    # Bytes of a run, which is one IP packet to the kernel until it leaves: at most 65,535 with its
    # headers, for which this leaves 535.
    RUN_SIZE_MAX = 65000

cdef struct Outgoing:
    PyObject *owner                 # keeps the bytes where they are: bytes, or a Lease; owned
    const char *start
    size_t size
    char[CACHED_SIZE] name          # the sockaddr it goes to
    unsigned name_size              # 0: to `address`, or to the connected peer if that is NULL
    bint is_zero_copy               # of a lease, and worth a try
    PyObject *address               # (address,), if only Python's socket can convert it; owned

cdef struct DatagramQueue:
    Outgoing *items                 # the oldest first
    unsigned capacity
    unsigned count
    size_t size                     # bytes of payload, and HEADER_SIZE for each datagram

cdef int push_datagram(DatagramQueue *queue, object owner, const char *start, size_t size,
                       const char *name, unsigned name_size, object address,
                       bint is_zero_copy) except -1
cdef void drop_datagrams(DatagramQueue *queue, unsigned count) noexcept
cdef void free_datagrams(DatagramQueue *queue) noexcept
cdef unsigned run_at(const DatagramQueue *queue, unsigned first, size_t segment_max,
                     size_t zero_copy_min) noexcept
cdef void describe_run(const DatagramQueue *queue, unsigned first, unsigned count,
                       iovec *vector) noexcept


cdef inline bint leaves_in_place(const Outgoing *item, size_t zero_copy_min) noexcept nogil:
    """Whether it is sent from its lease, without a copy, by a request of its own."""
    return item.is_zero_copy and item.size >= zero_copy_min and item.address == NULL
