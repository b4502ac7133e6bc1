"""A ring without io_uring: zcloop carries requests out itself, by epoll and a few threads.

`enter` takes the requests (SQEs), asks epoll what is ready, and completes what can be done with
system calls that do not block (see attempt). The answers are those of io_uring, so whoever asks
needs not know. A request goes through these stages:

    begun     tried at once, as far as a try may bring something; a chain's next one with its first
    WAITING   in the list of its file, which epoll watches; tried again when that is ready
    WORKING   given to a thread, since what it asks for has no readiness: disks, open, statx
    TIMED     for a moment in time
    OVER      completed, while the completion queue has no room

A file is registered with epoll once, as long as requests wait for it. Where one of them goes on
(a receive in many completions, a poll by edges) the registration is edge triggered and costs no
further call; where all of them end with their first answer it is told once, and armed again by who
waits next. What is registered is never assumed: an fd may have been closed and be another file's.
ENOENT then says so, and what is told of an earlier registration has another generation.

A poll that waits exclusively (EPOLLEXCLUSIVE) has a registration of its own, under a copy of the
fd, since epoll knows a file once an fd. It is taken out when it was told, and put back behind the
others that wait, so that processes take turns.

Receives that go on (multishot) are visited once an enter each: one that brings much cannot keep the
others waiting. It arms its file again instead, which tells of the rest. They take the next slots of
a buffer ring as the kernel does, and end with ENOBUFS when there are none. A stream that gave less
than was asked for is empty, and not asked again: epoll tells of what comes next.

Everything here is C memory, and runs no Python: other threads may run meanwhile, and nothing of the
program's comes in between. A ring is one thread's; see PumpedRing for one that is shared.

Rejected: a channel that calls the operations' methods on readiness. It would have had to repeat,
above this line, what a ring promises: chains, cancelling, overflow, notifications, parking. With
the cut at the two queues all of that has one text, tested against the real kernel.
"""

from libc.errno cimport (
    EAGAIN, EALREADY, EBADF, EEXIST, EINTR, EINVAL, EMFILE, ENFILE, ENOENT, ENOMEM, EPERM, errno,
)
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset
from posix.unistd cimport close, read

from zcloop._native.kernel.atomics cimport load_acquire, load_relaxed, store_release
from zcloop._native.kernel.clock cimport monotonic_ns
from zcloop._native.kernel.epoll cimport (
    CLOCK_MONOTONIC, EPOLLERR, EPOLLET, EPOLLEXCLUSIVE, EPOLLHUP, EPOLLIN, EPOLLONESHOT, EPOLLOUT,
    EPOLLPRI, EPOLLRDHUP, EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD,
    SPLICE_F_NONBLOCK, TFD_CLOEXEC, TFD_NONBLOCK, epoll_create1, is_short_empty, mmsghdr,
    timerfd_create, zc_copy_fd, zc_data, zc_epoll_ctl, zc_epoll_wait, zc_events, zc_inode,
    zc_is_closed, zc_recvmmsg, zc_set_timer,
)
from zcloop._native.kernel.errors cimport (
    ECANCELED, ENOBUFS, EOPNOTSUPP, ETIME, os_error, raise_os_error,
)
from zcloop._native.kernel.eventfd cimport EFD_CLOEXEC, EFD_NONBLOCK, eventfd
from zcloop._native.kernel.socket cimport MSG_DONTWAIT, MSG_WAITALL, recv
from zcloop._native.kernel.uio cimport iovec, msghdr
from zcloop._native.kernel.uring cimport (
    ASYNC_CANCEL_ANY, CQE_BUFFER_SHIFT, CQE_F_BUFFER, CQE_F_MORE, FEAT_CQE_SKIP, FEAT_EXT_ARG,
    FEAT_NODROP, OP_ACCEPT, OP_ASYNC_CANCEL, OP_NOP,
    OP_POLL_ADD, OP_READ, OP_READV, OP_RECV, OP_RECVMSG,
    OP_READ_FIXED, OP_SEND, OP_SENDMSG, OP_SPLICE, OP_TIMEOUT, OP_WRITE, OP_WRITEV, OP_WRITE_FIXED,
    POLL_ADD_MULTI, RECV_MULTISHOT, REGISTER_PBUF_RING,
    SQE_CQE_SKIP_SUCCESS, SQE_IO_LINK, SQ_CQ_OVERFLOW, SQ_TASKRUN, TIMEOUT_ETIME_SUCCESS,
    UNREGISTER_PBUF_RING, io_uring_buf, io_uring_buf_reg, io_uring_buf_ring, io_uring_cqe,
    io_uring_recvmsg_out, kernel_timespec,
)
from zcloop._native.kernel.workers cimport (
    call_out, open_inbox, start_job, take_done, withdraw_job,
)
from zcloop._native.ring.attempt cimport (
    FINAL_EAGAIN, NEEDS_THREAD, NEEDS_TIME, Wait, attempt, is_ready, moved, perform,
    wait_for_pipe,
)

# As the kernel's limits.
cdef unsigned ENTRIES_MAX = 32768
cdef unsigned BLOCK_SIZE = 64
# Slots that one stream fills in a visit, as long as it fills them.
cdef unsigned RECEIVES_A_VISIT = 4
# As libuv: who waits longest does not wait for a second turn, up to so many.
cdef int EVENTS_AT_ONCE_MAX = 1024
cdef enum:
    DATAGRAMS_MAX = 16
# The data of what is no file. Generations of files begin at 1, in the upper half.
cdef uint64_t INBOX = 0
cdef uint64_t TIMER = 1
cdef uint32_t TURN = <uint32_t> 1 << 31
# Callbacks that never leave the loop idle: so often it asks what is ready.
cdef int64_t LOOK_EVERY_NS = 20000
# For what nothing tells of: room in the queue of a Unix listener, a thread that is called out.
cdef int64_t RETRY_NS = 10000000
cdef int64_t CALL_OUT_NS = 1000000
# Who closes a file that a thread works on looks so often whether it is done.
cdef int64_t BARRIER_NS = 200000


cdef unsigned power_of_two(unsigned size) noexcept nogil:
    cdef unsigned power = 1
    while power < size:
        power *= 2
    return power


cdef inline io_uring_buf *slot_at(Group *group, unsigned index) noexcept nogil:
    """The slot that is `index` places behind the next one; NULL where there are not so many."""
    cdef unsigned short tail = (<io_uring_buf_ring *> group.entries).tail
    if <unsigned short> (tail - group.head) <= index:
        return NULL
    return <io_uring_buf *> group.entries + ((group.head + index) & group.mask)


cdef inline uint32_t slot_flags(const io_uring_buf *slot) noexcept nogil:
    return CQE_F_BUFFER | <uint32_t> slot.bid << CQE_BUFFER_SHIFT


cdef bint breaks_link(const io_uring_sqe *sqe, int result) noexcept nogil:
    """Whether a request that ended so ends those linked to it, as the kernel has it."""
    cdef int opcode = sqe.opcode
    if opcode == OP_TIMEOUT and result == -ETIME:
        return not sqe.timeout_flags & TIMEOUT_ETIME_SUCCESS
    if result < 0:
        return True
    if opcode in (OP_READ, OP_WRITE, OP_READ_FIXED, OP_WRITE_FIXED, OP_SPLICE):
        return <uint32_t> result < sqe.len
    if opcode in (OP_RECV, OP_SEND):
        return sqe.msg_flags & MSG_WAITALL and sqe.len != 0
    if opcode in (OP_RECVMSG, OP_SENDMSG):
        return (sqe.msg_flags & MSG_WAITALL and (<msghdr *> <size_t> sqe.addr).msg_controllen == 0
                and (<msghdr *> <size_t> sqe.addr).msg_iovlen != 0)
    if opcode in (OP_READV, OP_WRITEV):
        return <size_t> result < size_of(<iovec *> <size_t> sqe.addr, sqe.len)
    return False


cdef size_t size_of(const iovec *vector, unsigned count) noexcept nogil:
    cdef size_t size = 0
    cdef unsigned index
    for index in range(count):
        size += vector[index].iov_len
    return size


cdef int run_job(Job *job) noexcept nogil:
    return perform(&(<Task *> job).pending.sqe)


cdef class ReadinessRing(Ring):
    def __cinit__(self, unsigned entries, unsigned cq_entries, bint is_shared=False):
        cdef int failed
        self.uring.ring_fd = self.epoll_fd = self.event_fd = self.timer_fd = -1
        self.is_shared = is_shared
        self.backend = "epoll"
        if entries == 0 or cq_entries == 0:
            raise os_error(EINVAL, "a ring needs entries")
        self.entries = power_of_two(min(entries, ENTRIES_MAX))
        self.cq_entries = power_of_two(min(cq_entries, 2 * ENTRIES_MAX))
        self.features = FEAT_NODROP | FEAT_EXT_ARG | FEAT_CQE_SKIP
        self.is_open = True
        self.uring.sq.sqes = <io_uring_sqe *> calloc(self.entries, sizeof(io_uring_sqe))
        self.uring.cq.cqes = <io_uring_cqe *> calloc(self.cq_entries, sizeof(io_uring_cqe))
        if self.uring.sq.sqes == NULL or self.uring.cq.cqes == NULL:
            raise MemoryError("ring")
        self.uring.sq.khead = &self.sq_head
        self.uring.sq.ktail = &self.sq_tail
        self.uring.sq.kflags = &self.flags
        self.uring.sq.ring_entries = self.entries
        self.uring.sq.ring_mask = self.entries - 1
        self.uring.cq.khead = &self.cq_head
        self.uring.cq.ktail = &self.cq_tail
        self.uring.cq.ring_entries = self.cq_entries
        self.uring.cq.ring_mask = self.cq_entries - 1
        self.uring.ring_fd = self.epoll_fd = epoll_create1(EPOLL_CLOEXEC)
        if self.epoll_fd < 0:
            raise_os_error(errno, "epoll_create1")
        self.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        if self.event_fd < 0:
            raise_os_error(errno, "eventfd")
        open_inbox(&self.inbox, self.event_fd)
        failed = zc_epoll_ctl(self.epoll_fd, EPOLL_CTL_ADD, self.event_fd, EPOLLIN, INBOX)
        if failed:
            raise_os_error(failed, "epoll_ctl")

    def abandon(self):
        """In a forked child: the epoll instance is the parent's, and is not touched. Closes our
        copies of the other descriptors, and keeps the memory that the parent's threads work on."""
        cdef unsigned fd
        if not self.is_open:
            return
        self.is_open = False
        for fd in range(self.files_size):
            if self.files[fd].turn_fd >= 0:
                close(self.files[fd].turn_fd)
        close(self.event_fd)
        if self.timer_fd >= 0:
            close(self.timer_fd)
        self.uring.ring_fd = self.epoll_fd = -1
        self.free_memory()

    cdef void free_queues(self) noexcept nogil:
        """Nothing is in flight but what threads have, which is waited for."""
        cdef unsigned fd
        self.cancel_all()
        while self.working:
            self.collect(CALL_OUT_NS)
        for fd in range(self.files_size):
            if self.files[fd].turn_fd >= 0:
                close(self.files[fd].turn_fd)
        if self.epoll_fd >= 0:
            close(self.epoll_fd)
        if self.event_fd >= 0:
            close(self.event_fd)
        if self.timer_fd >= 0:
            close(self.timer_fd)
        self.uring.ring_fd = self.epoll_fd = self.event_fd = self.timer_fd = -1
        self.free_memory()

    cdef void free_memory(self) noexcept nogil:
        cdef void *block
        while self.blocks != NULL:
            block = self.blocks
            self.blocks = (<void **> block)[0]
            free(block)
        free(self.uring.sq.sqes)
        free(self.uring.cq.cqes)
        free(self.files)
        free(self.slots)
        self.uring.sq.sqes = NULL
        self.uring.cq.cqes = NULL
        self.files = NULL
        self.files_size = 0
        self.slots = NULL
        self.slots_size = 0
        self.cq_head = self.cq_tail = self.flags = 0

    # ---- in ----------------------------------------------------------------------------------

    cdef Pending *take_pending(self) noexcept nogil:
        cdef Pending *one
        cdef Pending *block
        cdef unsigned index
        cdef void *start
        if self.free_pending == NULL:
            start = calloc(1, sizeof(void *) * 2 + BLOCK_SIZE * sizeof(Pending))
            if start == NULL:
                return NULL
            (<void **> start)[0] = self.blocks
            self.blocks = start
            block = <Pending *> (<char *> start + 2 * sizeof(void *))
            for index in range(BLOCK_SIZE):
                block[index].next = self.free_pending
                self.free_pending = &block[index]
        one = self.free_pending
        self.free_pending = one.next
        memset(one, 0, sizeof(Pending))
        one.fd = -1
        return one

    cdef void release(self, Pending *one) noexcept nogil:
        cdef uint32_t slot = <uint32_t> one.sqe.user_data
        if slot < self.slots_size and self.slots[slot] == one:
            self.slots[slot] = NULL
        one.next = self.free_pending
        self.free_pending = one

    cdef int ensure_slots(self, unsigned count) noexcept nogil:
        cdef unsigned size = power_of_two(count + 64)
        cdef Pending **slots
        if count <= self.slots_size:
            return 0
        slots = <Pending **> realloc(self.slots, size * sizeof(Pending *))
        if slots == NULL:
            return -ENOMEM
        memset(slots + self.slots_size, 0, (size - self.slots_size) * sizeof(Pending *))
        self.slots = slots
        self.slots_size = size
        return 0

    cdef int begin_all(self) noexcept nogil:
        """Take every SQE; -ENOMEM, with the others left, when memory runs out."""
        cdef io_uring_sqe *sqe
        cdef Pending *one
        cdef Pending *first = NULL      # of the chain that is being read
        cdef Pending *last = NULL
        cdef uint32_t slot
        while self.sqe_head != self.sqe_tail:
            sqe = &self.uring.sq.sqes[self.sqe_head & self.uring.sq.ring_mask]
            slot = <uint32_t> sqe.user_data
            one = NULL
            if sqe.user_data >> 32 == 0 or self.ensure_slots(slot + 1) == 0:
                one = self.take_pending()
            if one == NULL:
                if last != NULL:
                    self.begin(first)       # what there is of its chain
                    self.begin_due()
                return -ENOMEM
            memcpy(&one.sqe, sqe, sizeof(io_uring_sqe))
            if sqe.user_data >> 32:
                self.slots[slot] = one
            self.sqe_head += 1
            self.submissions += 1
            store_release(self.uring.sq.khead, self.sqe_head)
            if last != NULL:
                last.linked = one
                one.stage = LINKED
            else:
                first = one
            if one.sqe.flags & SQE_IO_LINK and self.sqe_head != self.sqe_tail:
                last = one
                continue
            last = NULL
            self.begin(first)
            self.begin_due()
        return 0

    cdef void begin(self, Pending *one) noexcept nogil:
        cdef int opcode = one.sqe.opcode
        cdef kernel_timespec *when
        if opcode == OP_POLL_ADD:
            one.is_multishot = one.sqe.len & POLL_ADD_MULTI != 0
            self.wait_for_file(one, one.sqe.fd, one.sqe.poll32_events)
        elif opcode in (OP_RECV, OP_RECVMSG) and one.sqe.ioprio & RECV_MULTISHOT:
            one.is_multishot = True
            one.batch = 2
            one.is_short_empty = is_short_empty(one.sqe.fd)
            self.wait_for_file(one, one.sqe.fd, EPOLLIN | EPOLLPRI | EPOLLRDHUP)
        elif opcode == OP_NOP and one.sqe.fd >= 0 and self.is_worked_on(one.sqe.fd):
            self.time_it(one, BARRIER_NS)
        elif opcode == OP_NOP:
            self.complete(one, 0)
        elif opcode == OP_ASYNC_CANCEL:
            if self.is_shared:
                self.advance()      # what has come before the cancel is not cancelled
            self.complete(one, self.cancel(&one.sqe))
        elif opcode == OP_TIMEOUT:
            when = <kernel_timespec *> <size_t> one.sqe.addr
            self.time_it(one, when.tv_sec * <int64_t> 1000000000 + when.tv_nsec)
        else:
            self.try_it(one)

    cdef void try_it(self, Pending *one) noexcept nogil:
        """Begin, or go on, with what can be done by system calls."""
        cdef Wait wait
        cdef int got = attempt(&one.sqe, &wait)
        if got == -EAGAIN and one.fd >= 0 and is_ready(&wait):
            got = attempt(&one.sqe, &wait)      # it may have come just now
            if got == -EAGAIN and is_ready(&wait):
                got = NEEDS_TIME                # epoll would tell of that again at once
        if got == -EAGAIN:
            self.wait_for_file(one, wait.fd, wait.mask)
        elif got == NEEDS_THREAD and one.sqe.opcode == OP_ACCEPT:
            self.take_turn(one)
        elif got == NEEDS_THREAD:
            self.leave_file(one)
            self.employ(one)
        elif got == NEEDS_TIME:
            self.leave_file(one)
            self.time_it(one, RETRY_NS)
        else:
            self.complete(one, -EAGAIN if got == FINAL_EAGAIN else got)

    cdef void take_turn(self, Pending *one) noexcept nogil:
        """A thread accepts for one request at a time: they are served in their order."""
        cdef int fd = one.sqe.fd
        cdef int failed = self.ensure_file(fd)
        if failed:
            self.complete(one, failed)
        elif not self.files[fd].is_accepting:
            self.files[fd].is_accepting = True
            self.leave_file(one)
            self.employ(one)
        elif one.fd < 0:
            self.wait_for_file(one, fd, EPOLLIN)    # armed again when the thread comes back

    cdef void employ(self, Pending *one) noexcept nogil:
        """A thread does it."""
        cdef int failed = -ENOMEM
        one.task = <Task *> calloc(1, sizeof(Task))
        if one.task != NULL:
            one.stage = WORKING
            one.task.pending = one
            one.task.job.work = run_job
            one.task.job.inbox = &self.inbox
            self.working += 1
            failed = start_job(&one.task.job)
        if failed:
            self.stop_working(one)
            self.complete(one, failed)

    cdef void stop_working(self, Pending *one) noexcept nogil:
        """No thread has it any more. The next one that waits for a listener may have one."""
        cdef int fd = one.sqe.fd
        if one.task != NULL:
            free(one.task)
            one.task = NULL
            self.working -= 1
        one.stage = WAITING
        if one.sqe.opcode == OP_ACCEPT:
            self.files[fd].is_accepting = False
            if self.files[fd].first != NULL:
                self.arm_again(fd)

    # ---- files -------------------------------------------------------------------------------

    cdef int ensure_file(self, int fd) noexcept nogil:
        cdef unsigned size
        cdef Watched *files
        cdef unsigned index
        if <unsigned> fd < self.files_size:
            return 0
        if zc_is_closed(fd):        # nor is there memory for just any number
            return -EBADF
        size = <unsigned> fd + <unsigned> fd // 4 + 64
        files = <Watched *> realloc(self.files, size * sizeof(Watched))
        if files == NULL:
            return -ENOMEM
        memset(files + self.files_size, 0, (size - self.files_size) * sizeof(Watched))
        for index in range(self.files_size, size):
            files[index].turn_fd = -1
        self.files = files
        self.files_size = size
        return 0

    cdef void wait_for_file(self, Pending *one, int fd, uint32_t mask) noexcept nogil:
        """Wait until the file is ready; what has no readiness is ready, or a thread's."""
        cdef Watched *file
        cdef int failed
        if fd < 0:
            self.complete(one, -EBADF)
            return
        if one.fd != fd:
            self.leave_file(one)
            failed = self.ensure_file(fd)
            if failed:
                self.complete(one, failed)
                return
            one.fd = fd
            file = &self.files[fd]
            one.next = NULL
            one.previous = file.last
            if file.last != NULL:
                file.last.next = one
            else:
                file.first = one
            file.last = one
        one.stage = WAITING
        if mask & EPOLLEXCLUSIVE and mask & ~<uint32_t> EPOLLEXCLUSIVE != EPOLLIN:
            mask &= ~<uint32_t> EPOLLEXCLUSIVE      # turns are for listeners
        one.mask = mask
        self.is_replaced = False
        failed = self.arm_turn(fd) if mask & EPOLLEXCLUSIVE else self.arm(fd)
        if self.is_replaced:
            self.end_others(one, fd, -EBADF)
        if failed == EPERM:
            mask &= EPOLLIN | EPOLLOUT
            if one.sqe.opcode == OP_POLL_ADD:
                self.complete(one, <int> mask if mask else -EINVAL)
            else:
                self.leave_file(one)
                self.employ(one)
        elif failed:
            self.complete(one, -failed)

    cdef void end_others(self, Pending *one, int fd, int result) noexcept nogil:
        """All who wait for a file, but for `one`: with -EBADF when the fd was closed and is another
        file's. What they waited for cannot come, and what comes is not theirs."""
        cdef Pending *other = self.files[fd].first
        cdef Pending *after
        while other != NULL:
            after = other.next
            if other != one and not other.mask & EPOLLEXCLUSIVE:
                self.complete(other, result)
            other = after

    cdef void arm_again(self, int fd) noexcept nogil:
        """Of a file that requests wait for already: who cannot be told any more ends."""
        cdef int failed
        self.is_replaced = False
        failed = self.arm(fd)
        if self.is_replaced:
            self.end_others(NULL, fd, -EBADF)
        elif failed:
            self.end_others(NULL, fd, -failed)

    cdef int arm(self, int fd) noexcept nogil:
        """Have epoll tell of what is waited for, what is there now included. 0 or errno."""
        cdef Watched *file = &self.files[fd]
        cdef Pending *one = file.first
        cdef uint32_t mask = 0
        cdef int failed = ENOENT
        file.is_by_edge = False
        while one != NULL:
            if not one.mask & EPOLLEXCLUSIVE:
                mask |= one.mask
                if one.is_multishot:
                    file.is_by_edge = True
            one = one.next
        mask |= EPOLLET if file.is_by_edge else EPOLLONESHOT
        if file.is_registered:
            failed = zc_epoll_ctl(self.epoll_fd, EPOLL_CTL_MOD, fd, mask,
                                  <uint64_t> file.generation << 32 | <uint32_t> fd)
        if failed == ENOENT:
            self.is_replaced = file.is_registered
            file.generation += 1
            if file.generation == 0:
                file.generation = 1
            failed = zc_epoll_ctl(self.epoll_fd, EPOLL_CTL_ADD, fd, mask,
                                  <uint64_t> file.generation << 32 | <uint32_t> fd)
            if failed == EEXIST:
                failed = zc_epoll_ctl(self.epoll_fd, EPOLL_CTL_MOD, fd, mask,
                                      <uint64_t> file.generation << 32 | <uint32_t> fd)
        file.is_registered = file.is_armed = failed == 0
        return failed

    cdef int arm_turn(self, int fd) noexcept nogil:
        cdef Watched *file = &self.files[fd]
        cdef int failed
        if file.is_turn_armed:
            return 0
        if file.turn_fd >= 0 and zc_inode(file.turn_fd) != zc_inode(fd):
            close(file.turn_fd)         # of another file that had this fd
            file.turn_fd = -1
        if file.turn_fd < 0:
            file.turn_fd = zc_copy_fd(fd)
            if file.turn_fd < 0:
                if errno not in (EMFILE, ENFILE, EINVAL):   # the last where the limit is below 4
                    return errno
                # No descriptor is left: it waits as others do, and wakes with everybody.
                file.last.mask &= ~<uint32_t> EPOLLEXCLUSIVE
                return self.arm(fd)
        file.turns += 1
        failed = zc_epoll_ctl(self.epoll_fd, EPOLL_CTL_ADD, file.turn_fd,
                              EPOLLIN | EPOLLEXCLUSIVE,
                              <uint64_t> file.turns << 32 | TURN | <uint32_t> fd)
        file.is_turn_armed = failed == 0
        return failed

    cdef void leave_file(self, Pending *one) noexcept nogil:
        cdef int fd = one.fd
        cdef Watched *file
        if fd < 0:
            return
        file = &self.files[fd]
        if one.is_ready:
            self.forget_visit(one)
        if one.previous != NULL:
            one.previous.next = one.next
        else:
            file.first = one.next
        if one.next != NULL:
            one.next.previous = one.previous
        else:
            file.last = one.previous
        one.next = one.previous = NULL
        one.fd = -1
        self.settle_file(fd)

    cdef void settle_file(self, int fd) noexcept nogil:
        """Nobody waits for it any more: nothing of it is to wake us."""
        cdef Watched *file = &self.files[fd]
        cdef Pending *one = file.first
        cdef bint has_turn = False
        cdef bint has_other = False
        while one != NULL:
            if one.mask & EPOLLEXCLUSIVE:
                has_turn = True
            else:
                has_other = True
            one = one.next
        if not has_other and file.is_armed:
            zc_epoll_ctl(self.epoll_fd, EPOLL_CTL_DEL, fd, 0, 0)
            file.is_registered = file.is_armed = False
        if not has_turn and file.is_turn_armed:
            zc_epoll_ctl(self.epoll_fd, EPOLL_CTL_DEL, file.turn_fd, 0, 0)
            file.is_turn_armed = False

    cdef void forget(self, int fd) noexcept nogil:
        # Its number may be another file's by now, for which others wait.
        if 0 <= fd < <int> self.files_size and not self.files[fd].is_turn_armed:
            if self.files[fd].turn_fd >= 0:
                close(self.files[fd].turn_fd)
                self.files[fd].turn_fd = -1

    cdef void arrived(self, int fd, uint32_t found, bint is_turn) noexcept nogil:
        """What epoll says of a file."""
        cdef Watched *file = &self.files[fd]
        cdef Pending *one
        cdef bint is_waited_for = False
        if is_turn:
            # Behind the other processes that wait, if it waits again.
            zc_epoll_ctl(self.epoll_fd, EPOLL_CTL_DEL, file.turn_fd, 0, 0)
            file.is_turn_armed = False
        elif not file.is_by_edge:
            file.is_armed = False
        one = file.first
        while one != NULL:
            if (one.mask & EPOLLEXCLUSIVE != 0) == is_turn:
                if found & (one.mask | EPOLLERR | EPOLLHUP):
                    one.found |= found
                    self.want_visit(one)
                elif not is_turn and not one.is_ready:
                    is_waited_for = True
            one = one.next
        if is_waited_for and not file.is_armed:
            self.arm_again(fd)      # it was told once, and of something else

    # ---- visits: what is ready is done -------------------------------------------------------

    cdef void want_visit(self, Pending *one) noexcept nogil:
        if one.is_ready:
            return
        one.is_ready = True
        one.next_ready = NULL
        one.previous_ready = self.ready_last
        if self.ready_last == NULL:
            self.ready_first = one
        else:
            self.ready_last.next_ready = one
        self.ready_last = one

    cdef void forget_visit(self, Pending *one) noexcept nogil:
        one.is_ready = False
        if one.previous_ready != NULL:
            one.previous_ready.next_ready = one.next_ready
        else:
            self.ready_first = one.next_ready
        if one.next_ready != NULL:
            one.next_ready.previous_ready = one.previous_ready
        else:
            self.ready_last = one.previous_ready

    cdef void visit_ready(self) noexcept nogil:
        """Each once. Who is not done with that arms its file again, and epoll tells of it at the
        next enter, unless the program has closed it meanwhile, and the fd is another file's. Polls
        come first, as they complete in a kernel's ring at once: a child's end is told before its
        SIGCHLD is read, whose handler may reap it."""
        cdef Pending *last
        cdef Pending *one = self.ready_first
        cdef Pending *after
        while one != NULL:
            after = one.next_ready
            if one.sqe.opcode == OP_POLL_ADD:
                self.forget_visit(one)
                self.visit(one)
            one = after
        last = self.ready_last
        while self.ready_first != NULL:
            one = self.ready_first
            self.forget_visit(one)
            self.visit(one)
            if one == last:
                break
        self.begin_due()

    cdef void visit(self, Pending *one) noexcept nogil:
        cdef int result
        if one.sqe.opcode == OP_POLL_ADD:
            result = <int> (one.found & (one.mask | EPOLLERR | EPOLLHUP))
            one.found = 0
            if not (one.is_multishot and self.post_more(one, result, 0)):
                self.complete(one, result)
        elif not one.is_multishot:
            self.try_it(one)
        elif self.room() == 0:
            self.arm_again(one.fd)      # it is told of again when what is there has been taken
        elif one.sqe.opcode == OP_RECV:
            self.receive_bytes(one)
        else:
            self.receive_datagrams(one)

    cdef unsigned room(self) noexcept nogil:
        """How many completions the queue has room for."""
        if self.overflow_first != NULL:
            return 0
        return self.cq_entries - (self.cq_tail - load_acquire(&self.cq_head))

    cdef Group *group_of(self, Pending *one) noexcept nogil:
        cdef unsigned index
        for index in range(GROUPS_MAX):
            if self.groups[index].is_used and self.groups[index].id == one.sqe.buf_group:
                return &self.groups[index]
        return NULL

    cdef void lack_slots(self, Pending *one) noexcept nogil:
        """Those that this enter has filled are about to come back; if it is none, who holds them
        keeps them."""
        if self.visible():
            self.arm_again(one.fd)
        else:
            self.complete(one, -ENOBUFS)

    cdef void receive_bytes(self, Pending *one) noexcept nogil:
        """The next slots of a stream's buffer ring are filled: a few, if it has so much."""
        cdef Group *group = self.group_of(one)
        cdef io_uring_buf *slot
        cdef unsigned count = 0
        cdef ssize_t got
        if group == NULL:
            self.complete(one, -EINVAL)
            return
        while True:
            slot = slot_at(group, 0)
            if slot == NULL:
                self.lack_slots(one)
                return
            got = recv(one.sqe.fd, <void *> <size_t> slot.addr, slot.len, MSG_DONTWAIT)
            if got <= 0:
                break
            count += 1
            group.head += 1
            self.post_more(one, <int> got, slot_flags(slot))
            if (<size_t> got < slot.len and one.is_short_empty
                    and not one.found & (EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)):
                return      # epoll tells of what comes next
            if count == RECEIVES_A_VISIT or self.room() == 0:
                self.arm_again(one.fd)
                return
        if got == 0:
            self.complete(one, 0)
        elif errno == EINTR:
            self.arm_again(one.fd)
        elif errno != EAGAIN:
            self.complete(one, -errno)
        else:
            one.found = 0

    cdef void receive_datagrams(self, Pending *one) noexcept nogil:
        """The next few slots of a buffer ring are filled, one datagram each."""
        cdef mmsghdr[DATAGRAMS_MAX] messages
        cdef iovec[DATAGRAMS_MAX] pieces
        cdef io_uring_recvmsg_out *out
        cdef Group *group = self.group_of(one)
        cdef msghdr *asked = <msghdr *> <size_t> one.sqe.addr
        cdef io_uring_buf *slot
        cdef unsigned count = 0
        cdef unsigned index
        cdef size_t head
        cdef int got
        if group == NULL:
            self.complete(one, -EINVAL)
            return
        head = sizeof(io_uring_recvmsg_out) + asked.msg_namelen + asked.msg_controllen
        while count < one.batch and count < self.room():
            slot = slot_at(group, count)
            if slot == NULL:
                break
            out = <io_uring_recvmsg_out *> <size_t> slot.addr
            memset(&messages[count], 0, sizeof(mmsghdr))
            pieces[count].iov_base = <char *> out + head
            pieces[count].iov_len = slot.len - head
            messages[count].msg_hdr.msg_iov = &pieces[count]
            messages[count].msg_hdr.msg_iovlen = 1
            messages[count].msg_hdr.msg_name = <char *> out + sizeof(io_uring_recvmsg_out)
            messages[count].msg_hdr.msg_namelen = asked.msg_namelen
            messages[count].msg_hdr.msg_control = <char *> messages[count].msg_hdr.msg_name + (
                asked.msg_namelen)
            messages[count].msg_hdr.msg_controllen = asked.msg_controllen
            count += 1
        if count == 0:
            self.lack_slots(one)
            return
        got = zc_recvmmsg(one.sqe.fd, messages, count)
        if got < 0:
            if got == -EINTR:
                self.arm_again(one.fd)
            elif got != -EAGAIN:
                self.complete(one, got)
            return
        for index in range(<unsigned> got):
            slot = slot_at(group, 0)
            group.head += 1
            out = <io_uring_recvmsg_out *> <size_t> slot.addr
            out.namelen = messages[index].msg_hdr.msg_namelen
            out.controllen = <uint32_t> messages[index].msg_hdr.msg_controllen
            out.payloadlen = messages[index].msg_len
            out.flags = messages[index].msg_hdr.msg_flags
            self.post_more(one, <int> (head + messages[index].msg_len), slot_flags(slot))
        if <unsigned> got == count:
            one.batch = min(2 * one.batch, DATAGRAMS_MAX)
            self.arm_again(one.fd)
        else:
            one.batch = max(2, got + 1)

    # ---- time --------------------------------------------------------------------------------

    cdef void time_it(self, Pending *one, int64_t after_ns) noexcept nogil:
        cdef Pending *before = NULL
        cdef Pending *behind = self.timed
        if self.timer_fd < 0:
            self.timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)
            if self.timer_fd < 0:
                self.complete(one, -errno)
                return
            if zc_epoll_ctl(self.epoll_fd, EPOLL_CTL_ADD, self.timer_fd, EPOLLIN, TIMER):
                close(self.timer_fd)
                self.timer_fd = -1
                self.complete(one, -ENOMEM)
                return
        one.stage = TIMED
        one.deadline_ns = monotonic_ns() + after_ns
        while behind != NULL and behind.deadline_ns <= one.deadline_ns:
            before = behind
            behind = behind.next
        one.next = behind
        one.previous = before
        if behind != NULL:
            behind.previous = one
        if before != NULL:
            before.next = one
        else:
            self.timed = one
            self.set_timer()

    cdef void untime(self, Pending *one) noexcept nogil:
        if one.next != NULL:
            one.next.previous = one.previous
        if one.previous != NULL:
            one.previous.next = one.next
        else:
            self.timed = one.next
            self.set_timer()
        one.next = one.previous = NULL

    cdef void set_timer(self) noexcept nogil:
        zc_set_timer(self.timer_fd, 0 if self.timed == NULL else max(self.timed.deadline_ns, 1))

    cdef void expire(self) noexcept nogil:
        cdef Pending *one
        cdef int64_t now = monotonic_ns()
        cdef uint64_t count
        read(self.timer_fd, &count, sizeof(count))
        while self.timed != NULL and self.timed.deadline_ns <= now:
            one = self.timed
            self.untime(one)
            one.stage = WAITING
            if one.sqe.opcode == OP_TIMEOUT:
                self.complete(one, -ETIME)
            elif one.sqe.opcode == OP_NOP:
                self.begin(one)
            else:
                self.try_it(one)

    # ---- threads, and cancelling -------------------------------------------------------------

    cdef void take_back_jobs(self) noexcept nogil:
        cdef Job *job
        cdef Pending *one
        cdef uint64_t count
        cdef int result
        cdef bint is_again
        read(self.event_fd, &count, sizeof(count))
        while True:
            job = take_done(&self.inbox)
            if job == NULL:
                return
            one = (<Task *> job).pending
            result = job.result
            self.stop_working(one)
            if one.is_cancelled:
                self.uncall(one)
            is_again = (result == -EAGAIN and one.sqe.opcode == OP_SPLICE
                        and not one.sqe.splice_flags & SPLICE_F_NONBLOCK)
            if one.is_cancelled and (result == -EINTR or is_again):
                self.complete(one, -ECANCELED)
            elif is_again:
                self.wait_again(one)
            else:
                self.complete(one, result)

    cdef void wait_again(self, Pending *one) noexcept nogil:
        """A splice that a thread has tried: it waits for the pipe."""
        cdef Wait wait
        wait_for_pipe(&one.sqe, &wait)
        self.wait_for_file(one, wait.fd, wait.mask)

    cdef void uncall(self, Pending *one) noexcept nogil:
        """It has come back: nobody calls it any more."""
        if one.previous != NULL:
            one.previous.next = one.next
        else:
            self.called_out = one.next
        if one.next != NULL:
            one.next.previous = one.previous
        one.next = one.previous = NULL

    cdef int cancel(self, const io_uring_sqe *sqe) noexcept nogil:
        """The answer to a request to cancel another, or all."""
        cdef uint32_t slot = <uint32_t> sqe.addr
        if sqe.cancel_flags & ASYNC_CANCEL_ANY:
            return self.cancel_all()
        if slot >= self.slots_size or self.slots[slot] == NULL or (
                self.slots[slot].sqe.user_data != sqe.addr):
            return -ENOENT
        return self.cancel_one(self.slots[slot])

    cdef int cancel_all(self) noexcept nogil:
        cdef unsigned slot
        cdef int count = 0
        for slot in range(self.slots_size):
            if self.slots[slot] != NULL and self.cancel_one(self.slots[slot]) == 0:
                count += 1
        return count

    cdef int cancel_one(self, Pending *one) noexcept nogil:
        cdef int result
        if one.stage == OVER:
            return -ENOENT
        if one.stage == LINKED:
            # It begins, and ends so, when its turn comes; or with the one before it.
            one.is_cancelled = True
            return 0
        if one.stage == WORKING:
            if withdraw_job(&one.task.job):
                self.stop_working(one)
                self.complete(one, -ECANCELED)
                return 0
            if not one.is_cancelled:
                one.is_cancelled = True
                one.previous = NULL
                one.next = self.called_out
                if one.next != NULL:
                    one.next.previous = one
                self.called_out = one
                call_out(&one.task.job)
            return -EALREADY
        if one.stage == TIMED:
            self.untime(one)
            one.stage = WAITING
        result = moved(&one.sqe)
        self.complete(one, result if result > 0 else -ECANCELED)
        return 0

    # ---- out ---------------------------------------------------------------------------------

    cdef void complete(self, Pending *one, int result) noexcept nogil:
        """The last completion of a request; then the chain goes on, or ends."""
        cdef Pending *linked = one.linked
        cdef bint is_broken = linked != NULL and breaks_link(&one.sqe, result)
        one.linked = NULL
        self.leave_file(one)
        if one.sqe.flags & SQE_CQE_SKIP_SUCCESS and result >= 0:
            self.release(one)
        elif self.put(one.sqe.user_data, result, 0):
            self.release(one)
        else:
            one.stage = OVER
            one.result = result
            one.next = NULL
            if self.overflow_last == NULL:
                self.overflow_first = one
            else:
                self.overflow_last.next = one
            self.overflow_last = one
            store_release(&self.flags, load_relaxed(&self.flags) | SQ_CQ_OVERFLOW)
        if linked == NULL:
            return
        linked.is_cancelled |= is_broken
        linked.next = NULL
        if self.due_last == NULL:
            self.due_first = linked
        else:
            self.due_last.next = linked
        self.due_last = linked

    cdef bint is_worked_on(self, int fd) noexcept nogil:
        """Whether a thread has a request for this file, which must not be closed meanwhile: its
        number would be another's. Who closes asks by a NOP that names the file."""
        cdef Pending *one
        cdef unsigned slot
        for slot in range(self.slots_size if self.working else 0):
            one = self.slots[slot]
            if one != NULL and one.stage == WORKING and (one.sqe.fd == fd or (
                    one.sqe.opcode == OP_SPLICE and one.sqe.splice_fd_in == fd)):
                return True
        return False

    cdef void begin_due(self) noexcept nogil:
        """What was linked to requests that are over: in a loop, since chains are long and stacks of
        threads small."""
        cdef Pending *one
        while self.due_first != NULL:
            one = self.due_first
            self.due_first = one.next
            if self.due_first == NULL:
                self.due_last = NULL
            one.next = NULL
            one.stage = WAITING
            if one.is_cancelled:
                self.complete(one, -ECANCELED)
            else:
                self.begin(one)

    cdef bint post_more(self, Pending *one, int result, uint32_t flags) noexcept nogil:
        """A completion that is not the last one; False when there is no room for it."""
        return self.put(one.sqe.user_data, result, flags | CQE_F_MORE)

    cdef bint put(self, uint64_t user_data, int result, uint32_t flags) noexcept nogil:
        cdef unsigned tail = self.cq_tail
        cdef io_uring_cqe *cqe
        if self.overflow_first != NULL or tail - load_acquire(&self.cq_head) >= self.cq_entries:
            return False
        cqe = &self.uring.cq.cqes[tail & self.uring.cq.ring_mask]
        cqe.user_data = user_data
        cqe.res = result
        cqe.flags = flags
        store_release(&self.cq_tail, tail + 1)
        return True

    cdef void surface(self) noexcept nogil:
        """Completions that found no room go into the queue, as far as it has some now."""
        cdef Pending *one
        while self.overflow_first != NULL:
            if self.cq_tail - load_acquire(&self.cq_head) >= self.cq_entries:
                return
            one = self.overflow_first
            self.overflow_first = NULL      # or `put` would keep the order
            self.put(one.sqe.user_data, one.result, 0)
            self.overflow_first = one.next
            self.release(one)
        self.overflow_last = NULL
        store_release(&self.flags, load_relaxed(&self.flags) & ~<unsigned> SQ_CQ_OVERFLOW)

    # ---- waiting -----------------------------------------------------------------------------

    cdef int collect(self, int64_t timeout_ns) noexcept nogil:
        """Ask epoll what is ready: a number of events, or -errno."""
        cdef epoll_event[EVENTS_MAX] events
        cdef int got
        cdef int count = 0
        if self.called_out != NULL and not 0 <= timeout_ns <= CALL_OUT_NS:
            timeout_ns = CALL_OUT_NS
        while True:
            got = zc_epoll_wait(self.epoll_fd, events, EVENTS_MAX, timeout_ns)
            self.note_events(events, got)
            count += max(got, 0)
            if got < EVENTS_MAX or count >= EVENTS_AT_ONCE_MAX:
                break
            timeout_ns = 0
        self.begin_due()
        self.looked_ns = monotonic_ns()
        self.call_again()
        return got if got < 0 and count == 0 else count

    cdef void note_events(self, epoll_event *events, int count) noexcept nogil:
        cdef uint64_t data
        cdef uint32_t low
        cdef int index, fd
        for index in range(count):
            data = zc_data(&events[index])
            low = <uint32_t> data
            if data == INBOX:
                self.take_back_jobs()
            elif data == TIMER:
                self.expire()
            else:
                fd = <int> (low & ~TURN)
                if low & TURN:
                    if self.files[fd].is_turn_armed and self.files[fd].turns == data >> 32:
                        self.arrived(fd, zc_events(&events[index]), True)
                elif self.files[fd].generation == data >> 32:
                    self.arrived(fd, zc_events(&events[index]), False)

    cdef void advance(self) noexcept nogil:
        """Do what can be done now."""
        self.collect(0)
        self.visit_ready()

    cdef void call_again(self) noexcept nogil:
        """Not more often: a thread that does nothing but handle signals would never come back."""
        cdef Pending *one = self.called_out
        if one == NULL or monotonic_ns() - self.called_ns < CALL_OUT_NS:
            return
        self.called_ns = monotonic_ns()
        while one != NULL:
            call_out(&one.task.job)
            one = one.next

    cdef int carry_on(self, unsigned wait_count, int64_t timeout_ns) noexcept nogil:
        """Until so many completions are visible, or for so long: 0, -ETIME or -EINTR."""
        cdef int64_t end = monotonic_ns() + timeout_ns if timeout_ns > 0 else 0
        cdef bint is_asleep
        cdef int got
        self.surface()
        while True:
            is_asleep = self.visible() < wait_count and self.ready_first == NULL
            got = self.collect(timeout_ns if is_asleep else 0)
            self.visit_ready()
            self.surface()
            if self.visible() >= wait_count or (got < 0 and got != -EINTR):
                break
            if got == -EINTR and is_asleep:
                break
            if timeout_ns >= 0 and is_asleep:
                timeout_ns = end - monotonic_ns()
                if timeout_ns <= 0:
                    got = -ETIME
                    break
        if self.ready_first != NULL:
            store_release(&self.flags, load_relaxed(&self.flags) | SQ_TASKRUN)
        else:
            store_release(&self.flags, load_relaxed(&self.flags) & ~<unsigned> SQ_TASKRUN)
        return got if got < 0 and self.visible() == 0 else 0

    cdef int wait(self, unsigned wait_count, unsigned min_wait_us,
                  kernel_timespec *timeout) noexcept nogil:
        cdef int failed
        self.enters += 1
        failed = self.begin_all()
        if failed:
            return failed
        return self.carry_on(wait_count,
                             timeout.tv_sec * <int64_t> 1000000000 + timeout.tv_nsec)

    cdef int enter_with(self, unsigned wait_count, unsigned flags,
                        io_uring_getevents_arg *argument, size_t size) noexcept nogil:
        cdef int failed
        self.enters += 1
        failed = self.begin_all()
        return failed if failed else self.carry_on(wait_count, -1 if wait_count else 0)

    cdef int make_room(self) noexcept nogil:
        cdef int failed = self.begin_all()
        self.surface()
        return failed

    cdef bint is_look_due(self) noexcept nogil:
        return monotonic_ns() - <int64_t> self.looked_ns > LOOK_EVERY_NS

    cdef int64_t spin(self, int64_t limit_ns) noexcept nogil:
        """As a ring's, but each look is a system call."""
        cdef int64_t start = monotonic_ns()
        cdef int64_t now = start
        while now - start < limit_ns:
            if self.visible() or self.wants_enter() or self.collect(0) > 0:
                self.visit_ready()
                if self.visible():
                    return now - start
            now = monotonic_ns()
        return -1

    # ---- buffer rings ------------------------------------------------------------------------

    cdef int register_(self, unsigned opcode, void *argument, unsigned count) noexcept nogil:
        cdef io_uring_buf_reg *asked = <io_uring_buf_reg *> argument
        cdef Group *group
        cdef unsigned index
        if opcode != REGISTER_PBUF_RING and opcode != UNREGISTER_PBUF_RING:
            return -EOPNOTSUPP
        for index in range(GROUPS_MAX):
            group = &self.groups[index]
            if opcode == UNREGISTER_PBUF_RING and group.is_used and group.id == asked.bgid:
                group.is_used = False
                return 0
            if opcode == REGISTER_PBUF_RING and not group.is_used:
                group.is_used = True
                group.id = asked.bgid
                group.entries = <char *> <size_t> asked.ring_addr
                group.mask = asked.ring_entries - 1
                group.head = 0
                return 0
        return -ENOENT if opcode == UNREGISTER_PBUF_RING else -ENOMEM
