from zcloop._native.operation.poll cimport Poll
from zcloop._native.transport.datagram_queue cimport DatagramQueue, Outgoing
from zcloop._native.transport.inlet cimport Inlet


cdef class DatagramOutput(Inlet):
    cdef DatagramQueue queue        # what is being sent, or waits for room
    cdef Poll room_poll             # of `receiver`, while a Unix socket's receiver has no room
    cdef object receiver            # a socket connected to that one, or None
    cdef size_t segment_max         # bytes of the largest datagram for a run; 0: no runs
    cdef int family
    cdef bint is_busy               # the queue is being sent or dropped: nobody else takes from it
    cdef bint is_one_by_one         # the rest of what is being sent leaves without runs

    cdef int send_now_undisturbed(self) except -1
    cdef int send_queue(self) except -1
    cdef int rest(self) except -1
    cdef int wait_for_room(self, Outgoing *item) except -1
    cdef ssize_t send_some(self, unsigned first, unsigned *count) except? -1
    cdef ssize_t send_run(self, unsigned first, unsigned count) except? -1
    cdef ssize_t send_one(self, unsigned index) except? -1
    cdef int count_sent(self, object owner, size_t size) except -1
    cdef int report_error(self, object error) except -1
    cdef int deliver_error(self, object error) except -1
    cdef bint is_zero_copy_next(self, const Outgoing *item) noexcept
    cdef int send_zero_copy(self) except -1
    cdef int sent_zero_copy(self, int result) except -1
    cdef int drop_sent(self) except -1
