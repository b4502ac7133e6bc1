"""Files that requests wait for: which fd is registered with epoll, for what, and who is told.

A file is registered once, for all requests that wait for it, as long as some do:

    one of them is multishot            by edges (EPOLLET): the registration stays as it is, and a
                                        further wait costs no system call
    each ends with its first result     EPOLLONESHOT: it is told once, and the next request that
                                        waits arms it again by one EPOLL_CTL_MOD

Arming also reports what was there before, so nothing that came in between is missed.

What we know of a registration may be wrong. A program may close a descriptor that requests wait
for; epoll then forgets the file, and the number may be another file's. EPOLL_CTL_MOD answers ENOENT
in that case: the requests that waited end with -EBADF. Each registration of an fd has a number, its
generation, and the new file gets the next one. An event of an earlier generation, which epoll_wait
may have returned already, is ignored.

Exclusive waits. A poll with EPOLLEXCLUSIVE is for a listener that several processes share, of which
one is to wake. Such a wait may not be changed by EPOLL_CTL_MOD, nor may it stand beside another
registration of the same fd, so it has a copy of the fd (dup), which counts as another. The copy is
taken out of epoll when it was reported, and put in again by the next wait, behind those of the
other processes. So they take turns.
"""

from libc.errno cimport (
    EBADF, EEXIST, EINVAL, EMFILE, ENFILE, ENOENT, ENOMEM, EPERM, errno,
)
from libc.stdlib cimport free, realloc
from libc.string cimport memset
from posix.unistd cimport close

from zcloop._native.kernel.epoll cimport (
    EPOLLERR, EPOLLET, EPOLLEXCLUSIVE, EPOLLHUP, EPOLLIN, EPOLLONESHOT, EPOLLOUT, EPOLL_CLOEXEC,
    EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, epoll_create1, zc_copy_fd, zc_epoll_ctl, zc_inode,
    zc_is_closed,
)
from zcloop._native.kernel.errors cimport raise_os_error
from zcloop._native.kernel.sealed cimport seal
from zcloop._native.kernel.uring cimport OP_POLL_ADD
from zcloop._native.ring.pending_request cimport WAITING, append_to, remove_from


cdef int register_file(int epoll_fd, WatchedFile *file, int fd, uint32_t mask) noexcept nogil:
    """Change a registration, or make a new one, of the next generation: 0 or errno."""
    cdef int failed = ENOENT
    if file.is_registered:
        failed = zc_epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, mask,
                              <uint64_t> file.generation << 32 | <uint32_t> fd)
    if failed == ENOENT:
        file.generation += 1
        if file.generation == 0:
            file.generation = 1     # 0 is of what is no file
        failed = zc_epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, mask,
                              <uint64_t> file.generation << 32 | <uint32_t> fd)
        if failed == EEXIST:
            failed = zc_epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, mask,
                                  <uint64_t> file.generation << 32 | <uint32_t> fd)
    return failed


cdef class WatchingRing(LocalRing):
    def __cinit__(self, unsigned entries, unsigned cq_entries, bint is_shared=False):
        self.uring.ring_fd = self.epoll_fd = epoll_create1(EPOLL_CLOEXEC)
        if self.epoll_fd < 0:
            raise_os_error(errno, "epoll_create1")

    cdef void free_queues(self) noexcept nogil:
        cdef unsigned fd
        for fd in range(self.files_size):
            if self.files[fd].exclusive_fd >= 0:
                close(self.files[fd].exclusive_fd)
        free(self.files)
        self.files = NULL
        self.files_size = 0
        if self.epoll_fd >= 0:
            close(self.epoll_fd)
        self.uring.ring_fd = self.epoll_fd = -1
        LocalRing.free_queues(self)

    # ---- a request waits -------------------------------------------------------------------------

    cdef int ensure_file(self, int fd) noexcept nogil:
        """Have an entry for a descriptor: 0 or -errno."""
        cdef unsigned size
        cdef WatchedFile *files
        cdef unsigned index
        if <unsigned> fd < self.files_size:
            return 0
        if zc_is_closed(fd):        # an entry for any number at all could take all memory
            return -EBADF
        size = <unsigned> fd + <unsigned> fd // 4 + 64      # in steps, as descriptors are opened
        files = <WatchedFile *> realloc(self.files, size * sizeof(WatchedFile))
        if files == NULL:
            return -ENOMEM
        memset(files + self.files_size, 0, (size - self.files_size) * sizeof(WatchedFile))
        for index in range(self.files_size, size):
            files[index].exclusive_fd = -1
        self.files = files
        self.files_size = size
        return 0

    cdef void wait_for_file(self, Pending *request, int fd, uint32_t mask) noexcept nogil:
        """A request waits until a file is ready. One that epoll does not watch is always ready for
        a poll, and other requests are for a thread."""
        cdef int failed
        if fd < 0:
            self.complete(request, -EBADF)
            return
        if request.fd != fd:
            self.leave_file(request)
            failed = self.ensure_file(fd)
            if failed:
                self.complete(request, failed)
                return
            request.fd = fd
            append_to(&self.files[fd].requests, request)
        request.stage = WAITING
        if mask & EPOLLEXCLUSIVE and mask & ~<uint32_t> EPOLLEXCLUSIVE != EPOLLIN:
            mask &= ~<uint32_t> EPOLLEXCLUSIVE      # exclusive waits are for listeners only
        request.mask = mask
        self.is_replaced = False
        failed = self.arm_exclusive(fd) if mask & EPOLLEXCLUSIVE else self.arm(fd)
        if self.is_replaced:
            self.end_others(request, fd, -EBADF)
        if failed == EPERM:
            mask &= EPOLLIN | EPOLLOUT
            if request.sqe.opcode == OP_POLL_ADD:
                self.complete(request, <int> mask if mask else -EINVAL)
            else:
                self.leave_file(request)
                self.use_thread(request)
        elif failed:
            self.complete(request, -failed)

    cdef void use_thread(self, Pending *request) noexcept nogil:
        """A thread makes the call of a request, for a file that epoll does not take."""

    cdef void end_others(self, Pending *request, int fd, int result) noexcept nogil:
        """End all requests that wait for a file but for `request`. When the fd was closed and is
        another file's, what they wait for cannot come, and what comes is not theirs."""
        cdef Pending *other = self.files[fd].requests.first
        cdef Pending *after
        while other != NULL:
            after = other.next
            if other != request and not other.mask & EPOLLEXCLUSIVE:
                self.complete(other, result)
            other = after

    # ---- registrations ---------------------------------------------------------------------------

    cdef void arm_again(self, int fd) noexcept nogil:
        """Have epoll report a file once more, for requests that wait for it already; they end if
        that cannot be."""
        cdef int failed = self.arm(fd)
        if self.is_replaced:
            self.end_others(NULL, fd, -EBADF)
        elif failed:
            self.end_others(NULL, fd, -failed)

    cdef int arm(self, int fd) noexcept nogil:
        """Have epoll report a file when what its requests wait for comes, or is there: 0 or errno.
        `is_replaced` says whether the fd is another file's than before."""
        cdef WatchedFile *file = &self.files[fd]
        cdef Pending *request = file.requests.first
        cdef uint32_t mask = 0
        cdef uint32_t generation = file.generation
        cdef bint was_registered = file.is_registered
        cdef int failed
        file.is_by_edge = False
        while request != NULL:
            if not request.mask & EPOLLEXCLUSIVE:
                mask |= request.mask
                if request.is_multishot:
                    file.is_by_edge = True
            request = request.next
        failed = register_file(self.epoll_fd, file, fd,
                               mask | (EPOLLET if file.is_by_edge else EPOLLONESHOT))
        self.is_replaced = was_registered and file.generation != generation
        file.is_registered = file.is_armed = failed == 0
        return failed

    cdef int arm_exclusive(self, int fd) noexcept nogil:
        """The same for exclusive waits. The request that waits last is the one that asked."""
        cdef WatchedFile *file = &self.files[fd]
        cdef int failed
        if file.is_exclusive_armed:
            return 0
        if file.exclusive_fd >= 0 and zc_inode(file.exclusive_fd) != zc_inode(fd):
            close(file.exclusive_fd)    # a copy of another file, which had this fd before
            file.exclusive_fd = -1
        if file.exclusive_fd < 0:
            file.exclusive_fd = zc_copy_fd(fd)
            if file.exclusive_fd < 0:
                # EINVAL is given where RLIMIT_NOFILE is below the lowest number that we ask for.
                if errno not in (EMFILE, ENFILE, EINVAL):
                    return errno
                # No descriptor is left: the request waits as others do, so all processes wake.
                file.requests.last.mask &= ~<uint32_t> EPOLLEXCLUSIVE
                return self.arm(fd)
        file.exclusive_generation += 1
        failed = zc_epoll_ctl(
            self.epoll_fd, EPOLL_CTL_ADD, file.exclusive_fd, EPOLLIN | EPOLLEXCLUSIVE,
            <uint64_t> file.exclusive_generation << 32 | EXCLUSIVE_BIT | <uint32_t> fd)
        file.is_exclusive_armed = failed == 0
        return failed

    # ---- a request leaves ------------------------------------------------------------------------

    cdef void leave_file(self, Pending *request) noexcept nogil:
        cdef int fd = request.fd
        if fd < 0:
            return
        if request.is_ready:
            self.forget_visit(request)
        remove_from(&self.files[fd].requests, request)
        request.fd = -1
        self.disarm_unwanted(fd)

    cdef void disarm_unwanted(self, int fd) noexcept nogil:
        """A registration that no request waits for any more must not wake us."""
        cdef WatchedFile *file = &self.files[fd]
        cdef Pending *request = file.requests.first
        cdef bint has_exclusive = False
        cdef bint has_other = False
        while request != NULL:
            if request.mask & EPOLLEXCLUSIVE:
                has_exclusive = True
            else:
                has_other = True
            request = request.next
        if not has_other and file.is_armed:
            zc_epoll_ctl(self.epoll_fd, EPOLL_CTL_DEL, fd, 0, 0)
            file.is_registered = file.is_armed = False
        if not has_exclusive and file.is_exclusive_armed:
            zc_epoll_ctl(self.epoll_fd, EPOLL_CTL_DEL, file.exclusive_fd, 0, 0)
            file.is_exclusive_armed = False

    cdef void forget(self, int fd) noexcept nogil:
        cdef WatchedFile *file
        if fd < 0 or fd >= <int> self.files_size:
            return
        file = &self.files[fd]
        # The number may be another file's by now, for which requests wait under the copy.
        if not file.is_exclusive_armed and file.exclusive_fd >= 0:
            close(file.exclusive_fd)
            file.exclusive_fd = -1

    # ---- a file is ready -------------------------------------------------------------------------

    cdef void note_ready(self, int fd, uint32_t found, bint is_exclusive) noexcept nogil:
        """Epoll has reported a file: a visit is due for each request that waits for such events."""
        cdef WatchedFile *file = &self.files[fd]
        cdef Pending *request
        cdef bint is_waited_for = False
        if is_exclusive:
            # The next wait puts it in again, behind the other processes that wait.
            zc_epoll_ctl(self.epoll_fd, EPOLL_CTL_DEL, file.exclusive_fd, 0, 0)
            file.is_exclusive_armed = False
        elif not file.is_by_edge:
            file.is_armed = False
        request = file.requests.first
        while request != NULL:
            if (request.mask & EPOLLEXCLUSIVE != 0) == is_exclusive:
                if found & (request.mask | EPOLLERR | EPOLLHUP):
                    request.found |= found
                    self.want_visit(request)
                elif not is_exclusive and not request.is_ready:
                    is_waited_for = True
            request = request.next
        if is_waited_for and not file.is_armed:
            self.arm_again(fd)      # the one report was of something else than this one waits for


seal(WatchingRing)
