"""How each request is carried out: at once, when its file is ready, by a thread, or at a time.

    begin          a request comes in
    carry_out      its system call is made, if that does not block (see attempt); the answer
                   completes it, or says what it waits for: a file, a thread, a moment in time
    visit          its file is ready: the call is made again; a multishot request takes what is
                   there, and stays
    cancel         it ends before its time, or its thread is called out of its call

A request goes through these stages:

    LINKED   -> begun, or ended with its chain
    WAITING  -> visited -> WAITING again, WORKING, TIMED, or ended
    WORKING  -> its thread gives it back -> ended, or WAITING (a splice)
    TIMED    -> its deadline is over -> ended (a timeout), or its call is made again
    OVER     -> its completion finds room, and it is free
"""

from libc.errno cimport EAGAIN, EALREADY, EINTR, ENOENT
from libc.stdint cimport uint32_t

from zcloop._native.kernel.clock cimport monotonic_ns
from zcloop._native.kernel.epoll cimport (
    EPOLLERR, EPOLLHUP, EPOLLIN, EPOLL_CTL_ADD, SPLICE_F_NONBLOCK, zc_epoll_ctl,
)
from zcloop._native.kernel.errors cimport ECANCELED, ETIME, raise_os_error
from zcloop._native.kernel.sealed cimport seal
from zcloop._native.kernel.uring cimport (
    ASYNC_CANCEL_ANY, OP_ACCEPT, OP_ASYNC_CANCEL, OP_NOP, OP_POLL_ADD, OP_RECV, OP_RECVMSG,
    OP_SPLICE, OP_TIMEOUT, POLL_ADD_MULTI, RECV_MULTISHOT, kernel_timespec,
)
from zcloop._native.ring.attempt cimport (
    FINAL_EAGAIN, NEEDS_THREAD, NEEDS_TIME, Wait, attempt, is_ready, moved, wait_for_pipe,
)
from zcloop._native.ring.deadlines cimport (
    add_deadline, clear_timer, close_timer, open_timer, remove_deadline, take_expired,
)
from zcloop._native.ring.jobs cimport (
    call_out_request, clear_inbox, close_jobs, end_task, is_worked_on, open_jobs, start_request,
    take_ended, withdraw_request,
)
from zcloop._native.ring.pending_request cimport LINKED, OVER, TIMED, WORKING
from zcloop._native.ring.watching cimport INBOX_DATA, TIMER_DATA

# A call is repeated after so long where nothing tells when it is worth it, as a connect to a Unix
# listener that has no room: a hundred calls a second are no load.
cdef int64_t RETRY_NS = 10_000_000
# Whoever closes a file that a thread works on looks again after so long whether it is done.
cdef int64_t BARRIER_NS = 200_000


cdef class CarryingRing(ReceivingRing):
    def __cinit__(self, unsigned entries, unsigned cq_entries, bint is_shared=False):
        cdef int failed
        self.deadlines.timer_fd = -1
        failed = open_jobs(&self.jobs)
        if failed:
            raise_os_error(failed, "eventfd")
        failed = zc_epoll_ctl(self.epoll_fd, EPOLL_CTL_ADD, self.jobs.inbox.event_fd, EPOLLIN,
                              INBOX_DATA)
        if failed:
            raise_os_error(failed, "epoll_ctl")

    cdef void free_queues(self) noexcept nogil:
        close_jobs(&self.jobs)
        close_timer(&self.deadlines)
        ReceivingRing.free_queues(self)

    cdef void begin(self, Pending *request) noexcept nogil:
        cdef int opcode = request.sqe.opcode
        cdef kernel_timespec *when
        if opcode == OP_POLL_ADD:
            request.is_multishot = request.sqe.len & POLL_ADD_MULTI != 0
            self.wait_for_file(request, request.sqe.fd, request.sqe.poll32_events)
        elif opcode in (OP_RECV, OP_RECVMSG) and request.sqe.ioprio & RECV_MULTISHOT:
            self.begin_receive(request)
        elif opcode == OP_NOP:
            # With a fd it is asked before that is closed (see the operation `nop`).
            if request.sqe.fd >= 0 and is_worked_on(&self.jobs, &self.table, request.sqe.fd):
                self.wait_for_time(request, BARRIER_NS)
            else:
                self.complete(request, 0)
        elif opcode == OP_ASYNC_CANCEL:
            if self.is_shared:
                self.advance()      # what came before the cancel is received, not cancelled
            self.complete(request, self.cancel(&request.sqe))
        elif opcode == OP_TIMEOUT:
            when = <kernel_timespec *> <size_t> request.sqe.addr
            self.wait_for_time(request, when.tv_sec * <int64_t> 1000000000 + when.tv_nsec)
        else:
            self.carry_out(request)

    cdef void carry_out(self, Pending *request) noexcept nogil:
        """Make the call of a request, and do what its answer says."""
        cdef Wait wait
        cdef int got = attempt(&request.sqe, &wait)
        if got == -EAGAIN and request.fd >= 0 and is_ready(&wait):
            got = attempt(&request.sqe, &wait)      # it became ready after the first attempt
            if got == -EAGAIN and is_ready(&wait):
                # A poll says that it is ready, and the call that it would block: if the request
                # waited for the file, epoll would report it at once, for ever.
                got = NEEDS_TIME
        if got == -EAGAIN:
            self.wait_for_file(request, wait.fd, wait.mask)
        elif got == NEEDS_THREAD and request.sqe.opcode == OP_ACCEPT:
            self.accept_in_thread(request)
        elif got == NEEDS_THREAD:
            self.leave_file(request)
            self.use_thread(request)
        elif got == NEEDS_TIME:
            self.leave_file(request)
            self.wait_for_time(request, RETRY_NS)
        else:
            self.complete(request, -EAGAIN if got == FINAL_EAGAIN else got)

    # ---- threads ---------------------------------------------------------------------------------

    cdef void use_thread(self, Pending *request) noexcept nogil:
        cdef int failed = start_request(&self.jobs, request)
        if failed:
            self.end_work(request)
            self.complete(request, failed)

    cdef void accept_in_thread(self, Pending *request) noexcept nogil:
        """Of a listener that blocks: a thread accepts for one request at a time, so that they are
        served in their order. The others wait for the file, which is armed when the thread is done.
        """
        cdef int fd = request.sqe.fd
        cdef int failed = self.ensure_file(fd)
        if failed:
            self.complete(request, failed)
        elif not self.files[fd].is_accepting:
            self.files[fd].is_accepting = True
            self.leave_file(request)
            self.use_thread(request)
        elif request.fd < 0:
            self.wait_for_file(request, fd, EPOLLIN)

    cdef void end_work(self, Pending *request) noexcept nogil:
        """No thread has the request any more. If it was an accept, a thread may make the next."""
        cdef int fd = request.sqe.fd
        if request.sqe.opcode == OP_ACCEPT:
            self.files[fd].is_accepting = False
            if self.files[fd].requests.first != NULL:
                self.arm_again(fd)

    cdef void take_back_work(self) noexcept nogil:
        """Threads have given requests back."""
        cdef Pending *request
        cdef Wait wait
        cdef int result
        cdef bint is_too_early
        clear_inbox(&self.jobs)
        while True:
            request = take_ended(&self.jobs, &result)
            if request == NULL:
                return
            self.end_work(request)
            # A splice waits for the side that is not ready: the thread has only tried it.
            is_too_early = (result == -EAGAIN and request.sqe.opcode == OP_SPLICE
                            and not request.sqe.splice_flags & SPLICE_F_NONBLOCK)
            if request.is_cancelled and (result == -EINTR or is_too_early):
                self.complete(request, -ECANCELED)
            elif is_too_early:
                wait_for_pipe(&request.sqe, &wait)
                self.wait_for_file(request, wait.fd, wait.mask)
            else:
                self.complete(request, result)

    # ---- time ------------------------------------------------------------------------------------

    cdef void wait_for_time(self, Pending *request, int64_t after_ns) noexcept nogil:
        cdef int failed = 0
        if self.deadlines.timer_fd < 0:
            failed = open_timer(&self.deadlines, self.epoll_fd, TIMER_DATA)
        if failed:
            self.complete(request, failed)
        else:
            add_deadline(&self.deadlines, request, after_ns)

    cdef void expire(self) noexcept nogil:
        """Deadlines are over: a timeout ends, and other requests are tried again."""
        cdef int64_t now_ns = monotonic_ns()
        cdef Pending *request
        clear_timer(&self.deadlines)
        request = take_expired(&self.deadlines, now_ns)
        while request != NULL:
            if request.sqe.opcode == OP_TIMEOUT:
                self.complete(request, -ETIME)
            elif request.sqe.opcode == OP_NOP:
                self.begin(request)
            else:
                self.carry_out(request)
            request = take_expired(&self.deadlines, now_ns)

    # ---- visits: what is ready is done -----------------------------------------------------------

    cdef void visit_ready(self) noexcept nogil:
        """Visit once each request that a visit is due for.

        One that is not done with that arms its file again, and is reported by the next epoll_wait.
        Rejected: to keep it in the list. The program may close the fd meanwhile, which then may be
        another file's.

        Polls come first, since in the kernel's ring they complete as soon as the file is ready: the
        end of a child is told before its SIGCHLD is read, whose handler may reap the child.
        """
        cdef Pending *request = self.ready_first
        cdef Pending *after
        cdef Pending *last
        while request != NULL:
            after = request.next_ready
            if request.sqe.opcode == OP_POLL_ADD:
                self.forget_visit(request)
                self.visit(request)
            request = after
        last = self.ready_last
        while self.ready_first != NULL:
            request = self.ready_first
            self.forget_visit(request)
            self.visit(request)
            if request == last:
                break
        self.begin_due()

    cdef void visit(self, Pending *request) noexcept nogil:
        cdef int result
        if request.sqe.opcode == OP_POLL_ADD:
            result = <int> (request.found & (request.mask | EPOLLERR | EPOLLHUP))
            request.found = 0
            if not (request.is_multishot and self.complete_more(request, result, 0)):
                self.complete(request, result)
        elif not request.is_multishot:
            self.carry_out(request)
        elif self.room() == 0:
            self.arm_again(request.fd)      # it goes on once completions have been taken out
        elif request.sqe.opcode == OP_RECV:
            self.receive_bytes(request)
        else:
            self.receive_datagrams(request)

    cdef void advance(self) noexcept nogil:
        """Do what can be done now."""

    # ---- cancelling ------------------------------------------------------------------------------

    cdef int cancel(self, const io_uring_sqe *sqe) noexcept nogil:
        """The answer to a request to cancel another one, or all."""
        cdef uint32_t slot = <uint32_t> sqe.addr
        cdef Pending *request
        if sqe.cancel_flags & ASYNC_CANCEL_ANY:
            return self.cancel_all()
        request = self.table.slots[slot] if slot < self.table.slots_size else NULL
        if request == NULL or request.sqe.user_data != sqe.addr:
            return -ENOENT
        return self.cancel_one(request)

    cdef int cancel_all(self) noexcept nogil:
        """How many were cancelled."""
        cdef unsigned slot
        cdef int count = 0
        for slot in range(self.table.slots_size):
            if self.table.slots[slot] != NULL and self.cancel_one(self.table.slots[slot]) == 0:
                count += 1
        return count

    cdef int cancel_one(self, Pending *request) noexcept nogil:
        """0, or -ENOENT when it has ended, or -EALREADY while a thread is in its call."""
        cdef int result
        if request.stage == OVER:
            return -ENOENT
        if request.stage == LINKED:
            request.is_cancelled = True     # it ends when it would begin
            return 0
        if request.stage == WORKING:
            if not withdraw_request(request):
                call_out_request(&self.jobs, request)
                return -EALREADY
            end_task(&self.jobs, request)
            self.end_work(request)
            self.complete(request, -ECANCELED)
            return 0
        if request.stage == TIMED:
            remove_deadline(&self.deadlines, request)
        result = moved(&request.sqe)
        self.complete(request, result if result > 0 else -ECANCELED)
        return 0


seal(CarryingRing)
