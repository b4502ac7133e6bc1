from cpython.object cimport PyObject

from zcloop._native.operation.poll cimport Poll
from zcloop._native.operation.receive_message cimport ReceiveMessage
from zcloop._native.transport.address_cache cimport CACHED_SIZE, AddressCache
from zcloop._native.pacing.datagram_flow cimport DatagramFlow
from zcloop._native.transport.inlet cimport Inlet
from zcloop._native.transport.newest cimport Newest

cdef struct Outgoing:
    PyObject *owner                 # keeps the bytes where they are: bytes, or a Lease; owned
    const char *start
    size_t size
    char[CACHED_SIZE] name
    unsigned name_size
    bint is_zero_copy               # of a lease, and worth a try
    # Owned, when it takes Python's socket to convert it; or NULL. Without either a name or an
    # address it goes to the connected peer.
    PyObject *address


cdef class Datagram(Inlet):
    cdef ReceiveMessage receive     # None until first used
    cdef Poll read_poll             # where the kernel has no multishot receive of messages
    cdef Newest newest              # instead of these, when only the newest are wanted
    cdef Poll newest_poll           # its eventfd
    cdef Poll room_poll             # of `receiver`, while a Unix socket's receiver has no room
    cdef object receiver            # a socket connected to it, or None
    cdef AddressCache addresses
    cdef DatagramFlow flow
    cdef Outgoing *queue            # datagrams not yet sent, oldest first
    cdef unsigned queue_capacity
    cdef unsigned queue_count
    cdef unsigned object_count      # of them, with an `address`
    cdef size_t queue_size          # payload bytes, and a header's worth each
    cdef size_t segment_max         # the largest that was not yet refused as a segment
    cdef object remote              # the address given to create_datagram_endpoint, or None
    cdef int family
    cdef bint is_connected
    cdef bint is_started
    cdef bint is_direct             # a multishot receive was refused
    cdef bint is_segmented          # UDP_GRO is on: a slot may hold several datagrams
    cdef bint is_busy               # the queue is being sent or dropped: nobody else takes from it
    cdef bint is_one_by_one         # the rest of what is being sent: no runs
    cdef bint is_lending            # protocol is a ZeroCopyDatagramProtocol

    cdef int receive_directly(self) except -1
    cdef int received(self, unsigned index, int result) except -1
    cdef int update_newest(self) except -1
    cdef int deliver_newest(self) except -1
    cdef int deliver_taken(self, Newest newest) except -1
    cdef int deliver_or_hold(self, object data, object address) except -1
    cdef int deliver_segments(self, const char *data, Py_ssize_t size, Py_ssize_t segment,
                              object address) except -1
    cdef int deliver_views(self, object data, Py_ssize_t segment, object address) except -1
    cdef int rested(self) except -1
    cdef int ended(self, int result) except -1
    cdef int refused(self, int errno_) except -1
    cdef object receive_bytes(self, size_t size, char *name, unsigned *name_size)
    cdef object receive_view(self, size_t size, char *name, unsigned *name_size)
    cdef int deliver(self, object data, object address) except -1
    cdef int deliver_error(self, object error) except -1
    cdef int append(self, object owner, const char *start, size_t size, const char *name,
                    unsigned name_size, object address, bint is_zero_copy) except -1
    cdef bint is_worth_zero_copy(self, size_t size, const char *name,
                                 unsigned name_size) except -1
    cdef bint is_zero_copy_next(self, Outgoing *item) noexcept
    cdef int send_zero_copy(self) except -1
    cdef int sent_zero_copy(self, int result) except -1
    cdef int count_sent(self, object owner, size_t size) except -1
    cdef bint send_at_once(self, object owner, const char *start, size_t size, const char *name,
                           unsigned name_size) except -1
    cdef unsigned run_at(self, unsigned first) noexcept
    cdef ssize_t send_run(self, unsigned first, unsigned count) except? -1
    cdef ssize_t send_some(self, unsigned first, unsigned *count) except? -1
    cdef ssize_t send_one(self, unsigned index) except? -1
    cdef int release(self, Outgoing *item) except -1
    cdef int drop_first(self, unsigned count) except -1
    cdef int drop_sent(self) except -1
    cdef int rest(self) except -1
    cdef int send_queue(self) except -1
    cdef int send_now_undisturbed(self) except -1
    cdef int wait_for_room(self, Outgoing *item) except -1
