"""The requests of a ring as ordinary system calls, for a kernel that does not offer io_uring.

`attempt` makes the call of a request without blocking. It gives the result, or -errno, or says what
to wait for. `perform` makes the call in a thread, where it may block.

Descriptors that block are the hard part. io_uring waits for their files without blocking anybody,
and so must `attempt`, by a flag of the call itself:

    send, recv, sendmsg, recvmsg     MSG_DONTWAIT
    read, write and vectored ones    RWF_NOWAIT of preadv2 and pwritev2; of pipes since Linux 6.4
    splice                           SPLICE_F_NONBLOCK
    connect                          none: O_NONBLOCK is set for the length of the call, which is
                                     safe, as nobody else uses a socket that is not connected yet
    accept, and reads and writes     none: a thread makes the call once a poll says that the file
    without RWF_NOWAIT               is ready. If another process is faster, the thread blocks; it
                                     can be called out by a signal
    files on a disk, open, close,    none: they have no readiness, so a thread makes the call at
    statx, fsync and the like        once

Rejected: O_NONBLOCK for the length of an accept. The flag belongs to all processes that share the
listener. One that sees it set by another counts on it, and blocks once it is cleared.

A send or receive with MSG_WAITALL takes several calls, and the SQE keeps its books: `addr` and
`len` say what is left, and `file_index` how many bytes were moved.
"""

from libc.errno cimport (
    EAGAIN, EALREADY, EINPROGRESS, EINTR, EINVAL, ENOSYS, errno,
)
from libc.stdint cimport int64_t

from zcloop._native.kernel.direct_calls cimport (
    MSG_OOB, POLLPRI, SOCK_NONBLOCK, SOL_SOCKET, SO_ERROR, SPLICE_F_NONBLOCK, close, connect,
    fallocate, fdatasync, fsync, ftruncate, getsockopt, openat, readv, recvmsg, sockaddr, splice,
    zc_accept4, zc_block_again, zc_blocks, zc_goes_on, zc_is_on_disk, zc_is_ready, zc_listens,
    zc_set_priority, zc_statx, zc_unblock,
)
from zcloop._native.kernel.errors cimport EOPNOTSUPP
from zcloop._native.kernel.poll cimport POLLIN, POLLOUT
from zcloop._native.kernel.socket cimport (
    MSG_DONTWAIT, MSG_WAITALL, SOCK_CLOEXEC, recv, send, sendmsg,
)
from zcloop._native.kernel.uio cimport RWF_NOWAIT, iovec, msghdr, preadv2, pwritev2, writev
from zcloop._native.kernel.uring cimport (
    FSYNC_DATASYNC, OP_ACCEPT, OP_CLOSE, OP_CONNECT, OP_FALLOCATE, OP_FSYNC, OP_FTRUNCATE,
    OP_OPENAT, OP_READ, OP_READV, OP_READ_FIXED, OP_RECV, OP_RECVMSG, OP_SEND, OP_SENDMSG,
    OP_SPLICE, OP_STATX, OP_WRITE, OP_WRITEV, OP_WRITE_FIXED,
)

# What io_uring allows in an accept; the system call knows no more either.
cdef uint32_t ACCEPT_FLAGS = SOCK_CLOEXEC | SOCK_NONBLOCK
# What it allows in a statx: AT_SYMLINK_NOFOLLOW, AT_NO_AUTOMOUNT, AT_EMPTY_PATH and
# AT_STATX_SYNC_TYPE.
cdef uint32_t STATX_FLAGS = 0x100 | 0x800 | 0x1000 | 0x6000
# A mark in `file_index` of a connect that is under way.
cdef uint32_t UNDER_WAY = 1


cdef inline int answer(ssize_t got) noexcept nogil:
    """What a system call returned, as a ring gives it: a result or -errno."""
    return <int> got if got >= 0 else -errno


cdef inline int would_block(int got, bint is_final) noexcept nogil:
    """A call that was interrupted, or would have blocked, is to be made again: -EAGAIN. But a
    request that was not to wait (`is_final`) gets EAGAIN as its answer."""
    if got != -EAGAIN and got != -EINTR:
        return got
    return FINAL_EAGAIN if is_final else -EAGAIN


cdef int attempt(io_uring_sqe *sqe, Wait *wait) noexcept nogil:
    """Make the call of a request without blocking: the result or -errno. -EAGAIN says that it would
    block, and then `wait` says what to wait for; NEEDS_THREAD, NEEDS_TIME and FINAL_EAGAIN are
    explained at their declaration."""
    cdef int opcode = sqe.opcode
    wait.fd = sqe.fd
    if opcode == OP_RECV or opcode == OP_RECVMSG:
        wait.mask = POLLPRI if sqe.msg_flags & MSG_OOB else POLLIN
        return receive(sqe)
    if opcode == OP_SEND or opcode == OP_SENDMSG:
        wait.mask = POLLOUT
        return transmit(sqe)
    if opcode in (OP_READ, OP_READV, OP_READ_FIXED):
        wait.mask = POLLIN
        return read_or_write(sqe, False)
    if opcode in (OP_WRITE, OP_WRITEV, OP_WRITE_FIXED):
        wait.mask = POLLOUT
        return read_or_write(sqe, True)
    if opcode == OP_ACCEPT:
        wait.mask = POLLIN
        # A socket that does not listen, or a wrong flag, makes the call fail at once.
        if zc_listens(sqe.fd) and not sqe.accept_flags & ~ACCEPT_FLAGS and zc_blocks(sqe.fd):
            return NEEDS_THREAD if zc_is_ready(sqe.fd, POLLIN) else -EAGAIN
        return accept_one(sqe)
    if opcode == OP_CONNECT:
        wait.mask = POLLOUT
        return connect_one(sqe)
    if opcode == OP_SPLICE:
        if zc_is_on_disk(sqe.fd) or zc_is_on_disk(sqe.splice_fd_in):
            return NEEDS_THREAD
        return move_between(sqe, wait)
    if opcode in (OP_OPENAT, OP_CLOSE, OP_STATX, OP_FSYNC, OP_FALLOCATE, OP_FTRUNCATE):
        return NEEDS_THREAD
    return -EINVAL


cdef int moved(const io_uring_sqe *sqe) noexcept nogil:
    """How many bytes a request has moved that has not ended yet: its result if it is cancelled."""
    return <int> sqe.file_index if sqe.opcode in (OP_RECV, OP_SEND, OP_RECVMSG, OP_SENDMSG) else 0


cdef int go_on(io_uring_sqe *sqe, ssize_t got) noexcept nogil:
    """The answer of a send or receive after one call has moved `got` bytes (-1: it failed); it is
    -EAGAIN while MSG_WAITALL asks for more."""
    if got < 0:
        return failed_on(sqe)
    sqe.file_index += <uint32_t> got
    if <size_t> got >= sqe.len:
        sqe.len = 0     # with MSG_TRUNC `got` may be more than there was room for
        return <int> sqe.file_index
    sqe.addr += got
    sqe.len -= <uint32_t> got
    if got == 0 or sqe.msg_flags & MSG_DONTWAIT or not (
            sqe.msg_flags & MSG_WAITALL and zc_goes_on(sqe.fd)):
        return <int> sqe.file_index
    return -EAGAIN


cdef int failed_on(const io_uring_sqe *sqe) noexcept nogil:
    """The answer after a call has failed: what was moved before, if anything, else -errno."""
    if errno == EAGAIN or errno == EINTR:
        if sqe.file_index and sqe.msg_flags & MSG_DONTWAIT:
            return <int> sqe.file_index
        return -errno
    return <int> sqe.file_index if sqe.file_index else -errno


cdef int go_on_message(io_uring_sqe *sqe, ssize_t got) noexcept nogil:
    """As `go_on`, for a message in pieces, whose vector is moved on. A message with ancillary data
    is done after one call, since another one would send that data, or fetch some, a second time."""
    cdef msghdr *header = <msghdr *> <size_t> sqe.addr
    cdef size_t left
    if got < 0:
        return failed_on(sqe)
    sqe.file_index += <uint32_t> got
    if got == 0 or header.msg_controllen or sqe.msg_flags & MSG_DONTWAIT or not (
            sqe.msg_flags & MSG_WAITALL and zc_goes_on(sqe.fd)):
        return <int> sqe.file_index
    left = <size_t> got
    while header.msg_iovlen and left >= header.msg_iov.iov_len:
        left -= header.msg_iov.iov_len
        header.msg_iov += 1
        header.msg_iovlen -= 1
    if header.msg_iovlen == 0:
        return <int> sqe.file_index
    header.msg_iov.iov_base = <char *> header.msg_iov.iov_base + left
    header.msg_iov.iov_len -= left
    return -EAGAIN


cdef int receive(io_uring_sqe *sqe) noexcept nogil:
    """recv or recvmsg."""
    cdef int got
    if sqe.opcode == OP_RECVMSG:
        got = go_on_message(sqe, recvmsg(sqe.fd, <msghdr *> <size_t> sqe.addr,
                                         (sqe.msg_flags & ~MSG_WAITALL) | MSG_DONTWAIT))
    else:
        # MSG_WAITALL is left out: `go_on` sees to it, and counts what each call has brought.
        got = go_on(sqe, recv(sqe.fd, <void *> <size_t> sqe.addr, sqe.len,
                              (sqe.msg_flags & ~MSG_WAITALL) | MSG_DONTWAIT))
    return would_block(got, sqe.msg_flags & MSG_DONTWAIT)


cdef int transmit(io_uring_sqe *sqe) noexcept nogil:
    """send or sendmsg."""
    cdef int got
    if sqe.opcode == OP_SENDMSG:
        got = go_on_message(sqe, sendmsg(sqe.fd, <msghdr *> <size_t> sqe.addr,
                                         sqe.msg_flags | MSG_DONTWAIT))
    else:
        got = go_on(sqe, send(sqe.fd, <void *> <size_t> sqe.addr, sqe.len,
                              sqe.msg_flags | MSG_DONTWAIT))
    return would_block(got, sqe.msg_flags & MSG_DONTWAIT)


cdef int accept_one(io_uring_sqe *sqe) noexcept nogil:
    return answer(zc_accept4(sqe.fd, <void *> <size_t> sqe.addr, <void *> <size_t> sqe.addr2,
                             sqe.accept_flags))


cdef int connect_one(io_uring_sqe *sqe) noexcept nogil:
    """Begin to connect, or look how it has gone."""
    cdef int failed = 0
    cdef unsigned size = sizeof(failed)
    cdef int flags, got
    if sqe.file_index == UNDER_WAY:
        if not zc_is_ready(sqe.fd, POLLOUT):
            return -EAGAIN
        if getsockopt(sqe.fd, SOL_SOCKET, SO_ERROR, &failed, &size) < 0:
            return -errno
        return -failed
    flags = zc_unblock(sqe.fd)
    got = connect(sqe.fd, <const sockaddr *> <size_t> sqe.addr, <unsigned> sqe.off)
    zc_block_again(sqe.fd, flags)
    if got == 0:
        return 0
    if errno == EINPROGRESS or errno == EALREADY or errno == EINTR:
        sqe.file_index = UNDER_WAY
        return -EAGAIN
    if errno == EAGAIN and flags >= 0:
        return NEEDS_TIME       # a Unix listener has no room, and nothing tells when it has
    if errno == EAGAIN:
        return FINAL_EAGAIN
    return -errno


cdef int read_or_write(io_uring_sqe *sqe, bint is_write) noexcept nogil:
    """One of the four reads and writes, of a file that is not on a disk."""
    cdef iovec one
    cdef iovec *vector = &one
    cdef int count = 1
    cdef int got
    if zc_is_on_disk(sqe.fd):
        return NEEDS_THREAD
    if sqe.opcode in (OP_READV, OP_WRITEV):
        vector = <iovec *> <size_t> sqe.addr
        count = <int> sqe.len
    else:
        one.iov_base = <void *> <size_t> sqe.addr
        one.iov_len = sqe.len
    # The file cannot seek, or it would be a thread's: io_uring ignores the offset of such a one.
    if is_write:
        got = answer(pwritev2(sqe.fd, vector, count, -1, <int> sqe.rw_flags | RWF_NOWAIT))
    else:
        got = answer(preadv2(sqe.fd, vector, count, -1, <int> sqe.rw_flags | RWF_NOWAIT))
    if got != -EOPNOTSUPP and got != -ENOSYS and got != -EINVAL:
        return would_block(got, sqe.rw_flags & RWF_NOWAIT)
    if not zc_is_ready(sqe.fd, POLLOUT if is_write else POLLIN):
        return -EAGAIN
    if zc_blocks(sqe.fd):
        return NEEDS_THREAD     # another process may be faster, and then the call would block
    got = answer(writev(sqe.fd, vector, count) if is_write else readv(sqe.fd, vector, count))
    return -EAGAIN if got == -EINTR else got


cdef int move_between(io_uring_sqe *sqe, Wait *wait) noexcept nogil:
    """A splice that does not wait for a pipe."""
    cdef int64_t source_offset = <int64_t> sqe.splice_off_in
    cdef int64_t target_offset = <int64_t> sqe.off
    cdef int got = answer(splice(
        sqe.splice_fd_in, NULL if source_offset == -1 else &source_offset, sqe.fd,
        NULL if target_offset == -1 else &target_offset, sqe.len,
        sqe.splice_flags | SPLICE_F_NONBLOCK))
    if got == -EAGAIN and sqe.splice_flags & SPLICE_F_NONBLOCK:
        return FINAL_EAGAIN
    if got == -EAGAIN:
        wait_for_pipe(sqe, wait)
    return got


cdef void wait_for_pipe(const io_uring_sqe *sqe, Wait *wait) noexcept nogil:
    """Wait for the side of a splice that is not ready."""
    if zc_is_ready(sqe.splice_fd_in, POLLIN):
        wait.fd, wait.mask = sqe.fd, POLLOUT
    else:
        wait.fd, wait.mask = sqe.splice_fd_in, POLLIN


cdef bint is_ready(const Wait *wait) noexcept nogil:
    """Whether what is waited for is there, as poll(2) says."""
    return zc_is_ready(wait.fd, <int> wait.mask)


cdef int perform(io_uring_sqe *sqe) noexcept nogil:
    """Make the call of a request in this thread, which may block: the result or -errno. It is
    -EINTR when the thread was called out of the call. The request's I/O priority (`ioprio`) is the
    thread's meanwhile."""
    cdef int got
    if sqe.ioprio and zc_set_priority(sqe.ioprio) < 0:
        return -errno
    got = perform_at_once(sqe)
    if sqe.ioprio:
        zc_set_priority(0)
    return got


cdef int perform_at_once(io_uring_sqe *sqe) noexcept nogil:
    """The same with the thread's own priority."""
    cdef iovec one
    cdef Wait wait
    cdef int opcode = sqe.opcode
    cdef int64_t offset = <int64_t> sqe.off
    cdef int flags = <int> sqe.rw_flags
    cdef int got
    if opcode == OP_ACCEPT:
        return accept_one(sqe)
    if opcode == OP_OPENAT:
        return answer(openat(sqe.fd, <const char *> <size_t> sqe.addr, <int> sqe.open_flags,
                             sqe.len))
    if opcode == OP_CLOSE:
        got = answer(close(sqe.fd))
        return 0 if got == -EINTR else got      # Linux has closed it all the same (close(2))
    if opcode == OP_STATX:
        if sqe.statx_flags & ~STATX_FLAGS:
            return -EINVAL      # as io_uring; the system call says so for some files only
        return answer(zc_statx(sqe.fd, <const char *> <size_t> sqe.addr, <int> sqe.statx_flags,
                               sqe.len, <void *> <size_t> sqe.off))
    if opcode == OP_FSYNC:
        return answer(fdatasync(sqe.fd) if sqe.fsync_flags & FSYNC_DATASYNC else fsync(sqe.fd))
    if opcode == OP_FALLOCATE:
        return answer(fallocate(sqe.fd, <int> sqe.len, offset, <int64_t> sqe.addr))
    if opcode == OP_FTRUNCATE:
        return answer(ftruncate(sqe.fd, offset))
    if opcode == OP_SPLICE:
        got = move_between(sqe, &wait)
        return -EAGAIN if got == FINAL_EAGAIN else got
    if not zc_is_on_disk(sqe.fd):
        offset = -1             # as in `read_or_write`
    if opcode == OP_READV:
        return answer(preadv2(sqe.fd, <iovec *> <size_t> sqe.addr, <int> sqe.len, offset, flags))
    if opcode == OP_WRITEV:
        return answer(pwritev2(sqe.fd, <iovec *> <size_t> sqe.addr, <int> sqe.len, offset, flags))
    one.iov_base = <void *> <size_t> sqe.addr
    one.iov_len = sqe.len
    if opcode in (OP_READ, OP_READ_FIXED):
        return answer(preadv2(sqe.fd, &one, 1, offset, flags))
    if opcode in (OP_WRITE, OP_WRITE_FIXED):
        return answer(pwritev2(sqe.fd, &one, 1, offset, flags))
    return -EINVAL
