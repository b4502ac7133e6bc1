"""Receives that go on: many completions, each with a slot of a buffer ring.

A multishot receive (IORING_RECV_MULTISHOT) waits by edges. Each time its file is ready it is
visited once, and takes what is there into the next slots of its buffer ring, as the kernel would:

    a stream       one recv(2) for each slot, up to RECEIVES_A_VISIT as long as the slots are filled
    datagrams      one recvmmsg(2) for up to `batch` slots, each with a io_uring_recvmsg_out in
                   front; the batch doubles while it is filled, and falls to what was there

A visit ends in one of these ways:

    it has taken all that was there     epoll reports what comes next, by an edge
    there may be more                   the file is armed again, and so reported again by the next
                                        epoll_wait: one sender of much does not hold up the others
    there is no free slot               -ENOBUFS and the end, as the kernel has it, unless this
                                        enter has filled some, which are about to come back
    end of file, or an error            the request ends with it

A stream that gave less than a slot holds is empty, so there is no second recv that would find
nothing (for TCP; see `is_short_empty`).
"""

from libc.errno cimport EAGAIN, EINTR, EINVAL, errno
from libc.stdint cimport uint32_t
from libc.string cimport memset

from zcloop._native.kernel.epoll cimport (
    EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLPRI, EPOLLRDHUP, is_short_empty, mmsghdr, zc_recvmmsg,
)
from zcloop._native.kernel.errors cimport ENOBUFS, EOPNOTSUPP
from zcloop._native.kernel.sealed cimport seal
from zcloop._native.kernel.socket cimport MSG_DONTWAIT, recv
from zcloop._native.kernel.uio cimport iovec, msghdr
from zcloop._native.kernel.uring cimport (
    REGISTER_PBUF_RING, UNREGISTER_PBUF_RING, io_uring_buf, io_uring_buf_reg, io_uring_recvmsg_out,
)
from zcloop._native.ring.buffer_groups cimport (
    BufferGroup, add_group, find_group, remove_group, slot_at, slot_flags,
)

# Slots that one stream fills in a visit, as long as it fills them. More would save calls of epoll
# for a sender of much, at the cost of all others, which wait meanwhile (test_fair_shares.py).
cdef unsigned RECEIVES_A_VISIT = 4
cdef enum:
    # Datagrams that one call asks for: first and at least, and at most. The messages of a call
    # stand on the stack.
    DATAGRAMS_MIN = 2
    DATAGRAMS_MAX = 16


cdef void place_message(mmsghdr *message, iovec *piece, const msghdr *asked,
                        const io_uring_buf *slot) noexcept nogil:
    """A datagram is to come into a slot, in the layout of the kernel's multishot recvmsg: what it
    says of itself, room for the address, room for ancillary data, the payload."""
    cdef char *start = <char *> <size_t> slot.addr
    cdef char *name = start + sizeof(io_uring_recvmsg_out)
    cdef char *control = name + asked.msg_namelen
    piece.iov_base = control + asked.msg_controllen
    piece.iov_len = slot.len - (<char *> piece.iov_base - start)
    memset(message, 0, sizeof(mmsghdr))
    message.msg_hdr.msg_iov = piece
    message.msg_hdr.msg_iovlen = 1
    message.msg_hdr.msg_name = name
    message.msg_hdr.msg_namelen = asked.msg_namelen
    message.msg_hdr.msg_control = control
    message.msg_hdr.msg_controllen = asked.msg_controllen


cdef void describe_message(const mmsghdr *message, const io_uring_buf *slot) noexcept nogil:
    """Write in front of a datagram what it says of itself."""
    cdef io_uring_recvmsg_out *out = <io_uring_recvmsg_out *> <size_t> slot.addr
    out.namelen = message.msg_hdr.msg_namelen
    out.controllen = <uint32_t> message.msg_hdr.msg_controllen
    out.payloadlen = message.msg_len
    out.flags = message.msg_hdr.msg_flags


cdef class ReceivingRing(WatchingRing):
    cdef int register_(self, unsigned opcode, void *argument, unsigned count) noexcept nogil:
        """Buffer rings come and go; nothing else is to be registered with a ring over epoll."""
        cdef io_uring_buf_reg *asked = <io_uring_buf_reg *> argument
        if opcode == REGISTER_PBUF_RING:
            return add_group(&self.buffer_groups, asked)
        if opcode == UNREGISTER_PBUF_RING:
            return remove_group(&self.buffer_groups, asked.bgid)
        return -EOPNOTSUPP

    cdef void begin_receive(self, Pending *request) noexcept nogil:
        request.is_multishot = True
        request.batch = DATAGRAMS_MIN
        request.is_short_empty = is_short_empty(request.sqe.fd)
        self.wait_for_file(request, request.sqe.fd, EPOLLIN | EPOLLPRI | EPOLLRDHUP)

    cdef void receive_bytes(self, Pending *request) noexcept nogil:
        """Fill the next slots of a stream's buffer ring."""
        cdef BufferGroup *group = find_group(&self.buffer_groups, request.sqe.buf_group)
        cdef io_uring_buf *slot
        cdef unsigned count = 0
        cdef ssize_t got
        if group == NULL:
            self.complete(request, -EINVAL)
            return
        while True:
            slot = slot_at(group, 0)
            if slot == NULL:
                self.lack_slots(request)
                return
            got = recv(request.sqe.fd, <void *> <size_t> slot.addr, slot.len, MSG_DONTWAIT)
            if got <= 0:
                break
            count += 1
            group.head += 1
            self.complete_more(request, <int> got, slot_flags(slot))
            if (<size_t> got < slot.len and request.is_short_empty
                    and not request.found & (EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)):
                return      # it is empty, and epoll reports what comes next
            if count == RECEIVES_A_VISIT or self.room() == 0:
                self.arm_again(request.fd)
                return
        if got == 0:
            self.complete(request, 0)
        elif errno == EINTR:
            self.arm_again(request.fd)
        elif errno != EAGAIN:
            self.complete(request, -errno)
        else:
            request.found = 0

    cdef void receive_datagrams(self, Pending *request) noexcept nogil:
        """Fill the next slots of a buffer ring, each with one datagram."""
        cdef mmsghdr[DATAGRAMS_MAX] messages
        cdef iovec[DATAGRAMS_MAX] pieces
        cdef BufferGroup *group = find_group(&self.buffer_groups, request.sqe.buf_group)
        cdef msghdr *asked = <msghdr *> <size_t> request.sqe.addr
        cdef io_uring_buf *slot
        cdef unsigned count = 0
        cdef unsigned index
        cdef size_t head        # bytes in front of a payload
        cdef int got
        if group == NULL:
            self.complete(request, -EINVAL)
            return
        head = sizeof(io_uring_recvmsg_out) + asked.msg_namelen + asked.msg_controllen
        while count < request.batch and count < self.room():
            slot = slot_at(group, count)
            if slot == NULL:
                break
            place_message(&messages[count], &pieces[count], asked, slot)
            count += 1
        if count == 0:
            self.lack_slots(request)
            return
        got = zc_recvmmsg(request.sqe.fd, messages, count)
        if got < 0:
            if got == -EINTR:
                self.arm_again(request.fd)
            elif got != -EAGAIN:
                self.complete(request, got)
            return
        for index in range(<unsigned> got):
            slot = slot_at(group, 0)
            group.head += 1
            describe_message(&messages[index], slot)
            self.complete_more(request, <int> (head + messages[index].msg_len), slot_flags(slot))
        if <unsigned> got == count:
            request.batch = min(2 * request.batch, DATAGRAMS_MAX)
            self.arm_again(request.fd)
        else:
            request.batch = max(DATAGRAMS_MIN, got + 1)

    cdef void lack_slots(self, Pending *request) noexcept nogil:
        """No slot is free. Those that this enter has filled are about to come back; if it has
        filled none, whoever holds them keeps them."""
        if self.visible():
            self.arm_again(request.fd)
        else:
            self.complete(request, -ENOBUFS)


seal(ReceivingRing)
