"""What an event channel is asked for: an operation, and what its event will have."""

from libc.errno cimport EINTR

from zcloop._native.events.event cimport make_event
from zcloop._native.kernel.errors cimport ECANCELED, ETIME
from zcloop._native.kernel.poll cimport POLLRDHUP
from zcloop._native.kernel.uring cimport (
    OP_ASYNC_CANCEL, OP_READ, OP_READV, OP_TIMEOUT, OP_WRITE, OP_WRITEV,
)
from zcloop._native.operation.operation cimport IDLE, NOT_YET
from zcloop._native.operation.request cimport Request

# Class and level of ioprio_set(2) are 16 bits.
cdef int PRIORITY_MAX = 0xFFFF


cdef EventRequest make_event_request(object type_, object source, Operation operation,
                                     object data):
    cdef EventRequest request = EventRequest.__new__(EventRequest)
    request.type = type_
    request.source = source
    request.operation = operation
    request.data = data
    return request


cdef int meaning_of(int opcode, int result) noexcept:
    """The kernel's number. It is 0 for two successes: a timeout that ran out, and a cancelling that
    says how many requests it ended."""
    if (opcode == OP_TIMEOUT and result == -ETIME) or (opcode == OP_ASYNC_CANCEL and result > 0):
        return 0
    return result


cdef class EventRequest(Owner):
    """One request of a channel, submitted or to be submitted: see `submit` and `cancel`.

    Functions of zcloop.requests and methods of a channel make them. `type`, `source` and `data` are
    what its event will have. `is_pending` says whether it is submitted and its event has still to
    be taken.
    """

    def __init__(self, type, source, Operation operation not None, *, data=None, int priority=0):
        self.type = type
        self.source = source
        self.operation = operation
        self.data = data
        if priority:
            self.set_priority(priority)

    def __repr__(self):
        state = "pending" if self.is_pending else "over" if self.operation is None else "idle"
        return f"<EventRequest {self.type} of {self.source!r}: {state}>"

    def set_priority(self, int priority):
        """Set the priority of a read or write of a file, as of ioprio_set(2): 0 to 65535.

        ValueError for other numbers, and for other requests.
        """
        cdef Request request
        if not isinstance(self.operation, Request) or (<Request> self.operation).sqe.opcode not in (
                OP_READ, OP_READV, OP_WRITE, OP_WRITEV):
            raise ValueError(f"the kernel has no priorities for {self.type!r}: for reads and "
                             "writes of files only")
        if not 0 <= priority <= PRIORITY_MAX:
            raise ValueError(f"priority {priority}: 0 to {PRIORITY_MAX}, as of ioprio_set(2)")
        request = <Request> self.operation
        request.sqe.ioprio = priority

    cdef int begin(self, unsigned reign, bint is_linked) except -1:
        """It goes to the channel, whose owner has the number `reign`. RuntimeError if it cannot."""
        if self.is_pending:
            raise RuntimeError(f"{self!r} is submitted already")
        if self.operation is None:
            raise RuntimeError(f"{self!r}: a request is submitted once; make another one")
        if self.operation.state != IDLE or self.operation.owner is not None:
            raise RuntimeError("this operation is in flight already")
        self.operation.owner = self
        self.is_pending = True
        self.is_linked = is_linked
        self.reign = reign
        return 0

    cdef int retract(self) except -1:
        """It was not submitted: it can be submitted again."""
        self.operation.owner = None
        self.is_pending = False
        return 0

    cdef int settle(self, int result, unsigned reign) noexcept:
        """What the kernel's result means; NOT_YET: it is to be submitted again.

        When a thread has ended, the kernel lets its requests wait on, and says ECANCELED when one
        should run. Then nothing was acquired or received, and it is submitted again.
        """
        cdef int settled
        if (result == -ECANCELED and self.reign != reign and not self.is_cancelled
                and self.operation.is_word_wait):
            self.reign = reign
            result = -EINTR     # it stays among the waiters: to leave would lose its place
        settled = self.operation.settle(result)
        if settled == -ECANCELED and self.reign != reign and not self.is_linked:
            self.reign = reign
            settled = NOT_YET
        if settled == NOT_YET and self.is_linked:
            return POLLRDHUP        # it is a poll, and what was linked to it runs already
        if settled == NOT_YET and self.is_cancelled:
            self.operation.discard(result, 0)
            return -ECANCELED
        if isinstance(self.operation, Request):
            return meaning_of((<Request> self.operation).sqe.opcode, settled)
        return settled

    cdef Event finish(self, int result):
        """It is over, with this settled result: its event."""
        cdef Operation operation = self.operation
        self.forget()
        if result < 0:
            return make_event(self.type, self.source, None, -result, self.data)
        return make_event(self.type, self.source, operation.outcome(result), 0, self.data)

    cdef int forget(self) except -1:
        """It is over, and its memory is let go of."""
        self.operation.owner = None
        self.operation = None
        self.is_pending = False
        return 0
