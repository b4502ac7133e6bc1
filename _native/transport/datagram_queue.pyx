"""The datagrams of one socket that have not left yet: an array that begins with the oldest.

    push_datagram   owns its bytes and its address from then on, and may move the array
    drop_datagrams  lets go of the oldest; only by whom the queue is busy for

To let go of a datagram may run code of the program: the end of a lease tells its holder, and an
address is an object of the program's. Such code may push. So nothing here keeps a pointer into the
array while it lets go, and a transport that walks the queue looks its item up again after each
call. Such code must not drop, which is what `is_busy` of the transport is for.
"""

from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdlib cimport free, realloc
from libc.string cimport memcmp, memcpy, memmove

from zcloop._native.transport.segments cimport SEGMENTS_MAX

# Bytes that a queued datagram counts beside its payload, so that empty ones are bounded, too. It is
# what CPython's own transport counts since 3.13, the size of a UDP header.
cdef size_t HEADER_SIZE = 8
# Datagrams that a queue has room for at first; then it doubles.
cdef unsigned FIRST_CAPACITY = 16


cdef int grow(DatagramQueue *queue) except -1:
    cdef unsigned capacity = queue.capacity * 2 + FIRST_CAPACITY
    cdef void *grown = realloc(queue.items, capacity * sizeof(Outgoing))
    if grown == NULL:
        raise MemoryError("datagram queue")
    queue.items = <Outgoing *> grown
    queue.capacity = capacity
    return 0


cdef int push_datagram(DatagramQueue *queue, object owner, const char *start, size_t size,
                       const char *name, unsigned name_size, object address,
                       bint is_zero_copy) except -1:
    """Add one that goes to `name`, else to the address in the tuple `address`, else (None) to the
    connected peer."""
    cdef Outgoing *item
    if queue.count == queue.capacity:
        grow(queue)
    item = &queue.items[queue.count]
    Py_INCREF(owner)
    item.owner = <PyObject *> owner
    item.start = start
    item.size = size
    item.name_size = name_size
    item.is_zero_copy = is_zero_copy
    memcpy(item.name, name, name_size)
    item.address = NULL
    if address is not None:
        Py_INCREF(address)
        item.address = <PyObject *> address
    queue.count += 1
    queue.size += size + HEADER_SIZE
    return 0


cdef void let_go(DatagramQueue *queue, unsigned index) noexcept:
    cdef PyObject *owner = queue.items[index].owner         # the array may move in what follows
    cdef PyObject *address = queue.items[index].address
    queue.size -= queue.items[index].size + HEADER_SIZE
    Py_DECREF(<object> owner)
    if address != NULL:
        Py_DECREF(<object> address)


cdef void drop_datagrams(DatagramQueue *queue, unsigned count) noexcept:
    """The oldest `count` were sent, or are given up."""
    cdef unsigned index
    for index in range(count):
        let_go(queue, index)
    queue.count -= count
    if count and queue.count:
        memmove(queue.items, queue.items + count, queue.count * sizeof(Outgoing))


cdef void free_datagrams(DatagramQueue *queue) noexcept:
    """Give all of them up, and the array: of a transport that nobody has any more."""
    drop_datagrams(queue, queue.count)
    free(queue.items)
    queue.items = NULL
    queue.capacity = 0


cdef unsigned run_at(const DatagramQueue *queue, unsigned first, size_t segment_max,
                     size_t zero_copy_min) noexcept:
    """How many datagrams from this one on can leave together: all to one address, and all of one
    size, which is at most `segment_max`, but for a shorter last one."""
    cdef const Outgoing *head = &queue.items[first]
    cdef const Outgoing *item = head
    cdef size_t size = head.size
    cdef unsigned count = 1
    if head.size == 0 or head.size > segment_max or head.address != NULL:
        return 1
    while item.size == head.size and count < SEGMENTS_MAX and first + count < queue.count:
        item = &queue.items[first + count]
        size += item.size
        if (item.size == 0 or item.size > head.size or size > RUN_SIZE_MAX
                or item.address != NULL or leaves_in_place(item, zero_copy_min)
                or item.name_size != head.name_size
                or memcmp(item.name, head.name, item.name_size)):
            break
        count += 1
    return count


cdef void describe_run(const DatagramQueue *queue, unsigned first, unsigned count,
                       iovec *vector) noexcept:
    """Say in `vector`, of SEGMENTS_MAX entries, where `count` datagrams from this one on are."""
    cdef unsigned index
    for index in range(count):
        vector[index].iov_base = <void *> queue.items[first + index].start
        vector[index].iov_len = queue.items[first + index].size
