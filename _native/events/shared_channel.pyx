"""A channel that a program polls: what is submitted goes to the kernel at once, from any thread
that holds the GIL, and completions are reaped one at a time.

Completions stay where the kernel put them until they are reaped, so that the channel's fd is
readable while there is one. The kernel keeps those beyond the channel's room in a list of its own;
`surface` brings them in when the room is free.
"""

cimport cython

from libc.errno cimport EAGAIN, EINTR
from libc.stdint cimport int64_t, uint64_t

from zcloop._native.channel.channel cimport IGNORED, Channel
from zcloop._native.kernel.atomics cimport load_relaxed, store_release
from zcloop._native.kernel.errors cimport ETIME, raise_os_error
from zcloop._native.kernel.uring cimport (
    CQE_F_MORE, OP_NOP, SQE_IO_LINK, io_uring_cqe, io_uring_sqe, kernel_timespec,
)
from zcloop._native.operation.operation cimport IDLE, INFLIGHT, Operation
from zcloop._native.operation.poll cimport Poll


@cython.no_gc_clear     # as Channel
cdef class SharedChannel(Channel):
    """Made with a ring that is shared. Its methods are called under the GIL, `sleep` lets go of
    it."""

    def __dealloc__(self):
        self.let_go()

    cdef int submit_all(self, list operations, bint is_linked) except -1:
        """Hand IDLE operations in with one system call (or, of many in parallel, one for each
        ring full). OSError if the kernel does not take all: the others are IDLE again."""
        cdef Py_ssize_t done = 0
        cdef Py_ssize_t count = len(operations)
        cdef Py_ssize_t end, index
        cdef int got
        if is_linked and count > self.ring.entries:
            raise ValueError(f"{count} linked requests: at most {self.ring.entries}, the entries "
                             "of this channel, go in at once")
        self.table.ensure_slots(count)      # nothing may run between an SQE and the submission
        while done < count:
            end = min(count, done + self.ring.entries)
            for index in range(done, end):
                self.submit(<Operation> operations[index])
                if is_linked and index + 1 < count:
                    self.ring.unsubmitted_sqe(<unsigned> (index - done)).flags |= SQE_IO_LINK
            got = self.ring.push()
            if got < 0:
                done = end - self.ring.unsubmitted()
                self.ring.retract()
                for index in range(done, end):
                    self.retire(<Operation> operations[index])
                raise_os_error(-got, f"the kernel took {done} of {count} requests")
            done = end
        return 0

    cdef int retire(self, Operation operation) except -1:
        """An operation ended without a completion, since the kernel did not take it."""
        if operation.state != IDLE:
            self.table.count -= 1
            self.table.release(operation)
        return 0

    cdef io_uring_cqe next_completion(self) noexcept:
        """The first visible completion, off the ring."""
        cdef unsigned head = load_relaxed(self.ring.uring.cq.khead)
        cdef io_uring_cqe cqe = self.ring.uring.cq.cqes[head & self.ring.uring.cq.ring_mask]
        store_release(self.ring.uring.cq.khead, head + 1)
        self.ring.took()
        self.completed += 1
        return cqe

    cdef Operation reap_one(self):
        """The operation that ended first, IDLE again, and its `result`; None when none is
        visible. No system call."""
        cdef io_uring_cqe cqe
        cdef Operation operation
        while self.ring.visible():
            cqe = self.next_completion()
            if cqe.user_data == IGNORED:
                continue
            self.table.note_completion(cqe.user_data, cqe.flags)
            operation = self.table.operation_of(cqe.user_data)
            if cqe.flags & CQE_F_MORE and operation.is_poll:
                self.note_edge(<Poll> operation, cqe.res)
                continue
            self.table.release(operation)
            self.result = (<Poll> operation).conclude(cqe.res) if operation.is_poll else cqe.res
            return operation
        return None

    cdef int reap(self) except -1:
        """At close nobody is told: what completes waits for `discard_all`."""
        cdef io_uring_cqe cqe
        while self.ring.visible():
            cqe = self.next_completion()
            if cqe.user_data == IGNORED:
                continue
            self.table.note_completion(cqe.user_data, cqe.flags)
            self.completions.append(cqe.user_data, cqe.res, cqe.flags)
        return 0

    cdef int note_edge(self, Poll poll, int result) except -1:
        """A poll by edges goes on, unless this is what it waits for: then its end says so."""
        cdef int got
        if poll.state != INFLIGHT or not poll.is_news(result):
            return 0
        self.cancel(poll)
        got = self.ring.push()
        if got < 0:
            self.ring.retract()
            poll.state = INFLIGHT
            raise_os_error(-got, "io_uring_enter")
        poll.found = result
        return 0

    cdef bint is_overfull(self) noexcept:
        """Whether the kernel keeps completions beyond the channel's room."""
        return self.ring.has_overflow()

    cdef unsigned surface(self, Operation unseen) except? 0:
        """With nothing visible: bring in what the kernel kept; how many came that are somebody's,
        without `unseen` (or None)."""
        cdef uint64_t token = IGNORED if unseen is None else self.table.token_of(unseen)
        cdef unsigned head, index
        cdef unsigned count = 0
        cdef uint64_t user_data
        cdef int got
        self.ring.enters += 1
        got = self.ring.sleep(0, NULL)
        if got < 0 and got not in (-EINTR, -EAGAIN):
            raise_os_error(-got, "io_uring_enter")
        head = load_relaxed(self.ring.uring.cq.khead)
        for index in range(self.ring.visible()):
            user_data = self.ring.uring.cq.cqes[
                (head + index) & self.ring.uring.cq.ring_mask].user_data
            count += user_data != IGNORED and user_data != token
        return count

    cdef bint are_complete(self, list operations) except -1:
        """Whether the completions of all these are visible."""
        cdef unsigned head = load_relaxed(self.ring.uring.cq.khead)
        cdef unsigned index
        cdef Py_ssize_t missing = len(operations)
        cdef uint64_t token
        wanted = {self.table.token_of(<Operation> operation) for operation in operations}
        for index in range(self.ring.visible()):
            token = self.ring.uring.cq.cqes[(head + index) & self.ring.uring.cq.ring_mask].user_data
            missing -= token in wanted
        return missing == 0

    cdef int sleep(self, unsigned count, int64_t timeout_ns) except -1:
        """Let go of the GIL until so many completions are visible, or for `timeout_ns` (-1: no
        limit). It may end early. Nothing may be assumed of the channel afterwards."""
        cdef kernel_timespec timeout
        cdef kernel_timespec *limit = NULL
        cdef int got
        if timeout_ns >= 0:
            timeout.tv_sec = timeout_ns // 1000000000
            timeout.tv_nsec = timeout_ns % 1000000000
            limit = &timeout
        self.ring.enters += 1
        with nogil:
            got = self.ring.sleep(count, limit)
        if got < 0 and got not in (-ETIME, -EINTR, -EAGAIN):
            raise_os_error(-got, "io_uring_enter")
        return 0

    cdef int wake(self) except -1:
        """End another thread's `sleep`, by a completion that is nobody's."""
        cdef io_uring_sqe *sqe = self.ring.take_sqe()
        cdef int got
        sqe.opcode = OP_NOP
        sqe.user_data = IGNORED
        got = self.ring.push()
        if got < 0:
            self.ring.retract()
            raise_os_error(-got, "io_uring_enter")
        return 0

    cdef bint holds(self, Operation operation) noexcept:
        """Whether it is in flight here, and in no other channel."""
        return (operation.slot < self.table.capacity
                and self.table.operations[operation.slot] is operation)
