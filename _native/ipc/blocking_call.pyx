"""A blocking system call for which there is no descriptor to poll: a thread makes it while somebody
waits.

`prepare` starts the thread, unless it runs already, and polls the eventfd that the thread writes
when the call has returned. `settle` joins the thread. When nobody waits any more (`withdraw`,
`discard`, the end of this object), the thread is called out of the call. If the call was done all
the same, it is undone. So a thread lives exactly as long as somebody waits, and each wait has its
own thread.

A subclass has `settle_answer`, `undo` and the call's own memory. It calls `let_go` in its own
`__dealloc__`, which ends the thread before the memory that the thread reads is gone.
"""

from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EINTR, EINVAL, ENOMEM, ETIMEDOUT, errno
from libc.stdint cimport uint32_t, uint64_t
from posix.unistd cimport close, getpid, read, write

from zcloop._native.kernel.calling_thread cimport end_call, start_call
from zcloop._native.kernel.errors cimport ECANCELED, raise_os_error
from zcloop._native.kernel.eventfd cimport EFD_CLOEXEC, EFD_NONBLOCK, eventfd
from zcloop._native.kernel.poll cimport POLLIN, poll, pollfd
from zcloop._native.kernel.uring cimport io_uring_sqe
from zcloop._native.operation.operation cimport IDLE, NOT_YET

from time import monotonic

# poll's timeout is an int of milliseconds, at most 2.1e6 seconds. A longer wait is cut into pieces.
cdef double PIECE_SECONDS = 1e6


cdef class BlockingCall(Poll):
    def __cinit__(self, *args, **kwargs):
        self.fd = self.call.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        if self.fd < 0:
            raise_os_error(errno, "eventfd")
        self.mask = POLLIN
        self.pid = getpid()

    def __dealloc__(self):
        if self.fd >= 0:
            close(self.fd)

    cdef void use(self, Work work, void *argument) noexcept:
        self.call.work = work
        self.call.argument = argument

    cdef int begin(self) noexcept:
        cdef uint64_t one = 1
        cdef uint64_t count
        if self.is_running:
            return 0
        if self.pid == getpid():
            read(self.fd, &count, sizeof(count))    # it may still count a withdrawal
        self.failed = -EINVAL if self.call.work == NULL else start_call(&self.call)
        self.is_running = self.failed == 0
        if self.failed:
            write(self.fd, &one, sizeof(one))
        return self.failed

    cdef int answer(self) noexcept:
        """Join the thread, which has ended or is called out: its result; -EINTR: nothing done."""
        cdef int result
        if not self.is_running or self.pid != getpid():
            return -EINTR
        self.is_running = False
        with nogil:
            result = end_call(&self.call)
        return result

    cdef void prepare(self, io_uring_sqe *sqe) noexcept:
        self.begin()
        Poll.prepare(self, sqe)

    cdef int settle(self, int result) noexcept:
        cdef int answer
        if self.failed:
            return -ENOMEM
        answer = self.answer()
        if answer == -EINTR:
            return result if result < 0 else -ECANCELED
        answer = self.settle_answer(answer)
        return result if result < 0 and answer == NOT_YET else answer

    cdef void discard(self, int result, uint32_t flags) noexcept:
        self.let_go()

    cdef int settle_answer(self, int answer) noexcept:
        return answer

    cdef void undo(self, int result) noexcept:
        pass

    cdef void let_go(self) noexcept:
        cdef uint64_t one = 1
        cdef int result = self.answer()
        if result >= 0:
            self.undo(result)
        if self.state != IDLE and self.pid == getpid():
            write(self.fd, &one, sizeof(one))   # the poll ends, also if it begins after this

    def withdraw(self):
        """Nobody waits any more. When this returns, the call is over: nothing was done, or it was
        undone. Idempotent."""
        self.let_go()

    def block(self, timeout):
        """Make the call, and sleep without the GIL until it is done: the outcome, or -errno,
        -ETIMEDOUT after `timeout` seconds. It runs signal handlers."""
        deadline = None if timeout is None else monotonic() + timeout
        cdef int result = NOT_YET
        try:
            while result == NOT_YET:
                self.begin()
                result = self.settle(0 if self.sleep(deadline) else -ETIMEDOUT)
        except BaseException:
            self.let_go()
            raise
        return result if result < 0 else self.outcome(result)

    cdef bint sleep(self, object deadline) except -1:
        """Sleep until the thread has written, or the deadline has come: whether it has written."""
        cdef pollfd one
        cdef double seconds
        cdef int got, milliseconds = -1
        one.fd = self.fd
        one.events = POLLIN
        while True:
            if deadline is not None:
                seconds = deadline - monotonic()
                if seconds <= 0:
                    return False
                milliseconds = <int> (min(seconds, PIECE_SECONDS) * 1000) + 1
            with nogil:
                got = poll(&one, 1, milliseconds)
            if got > 0:
                return True
            PyErr_CheckSignals()
