"""A datagram socket of which only the newest arrivals are wanted. The oldest one that was not
delivered gives way, even while Python computes.

The kernel's socket queue keeps the oldest and drops what comes later, and a ring of the loop
delivers nothing while the loop's thread computes. So a native thread without the GIL receives into
a shelf of `depth` entries, overwrites the oldest, and writes an eventfd when something is new.

    a block is      there are       whose it is
    free            any number      nobody's
    being filled    one             the thread's
    arrived         at most depth   the shelf's; the thread may take the oldest away
    taken           at most one     the loop's, until it gives the block back

The thread runs from `start` to `stop`, which joins it before the fd is closed. It blocks every
signal. It waits by edges (epoll), and receives until there is no more.

Rejected: to wait by poll(2). A queue of errors (IP_RECVERR) that only the program reads keeps a
socket ready for it, and the thread would spin.
"""

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free
from posix.fcntl cimport fcntl
from posix.unistd cimport close, read, write

from zcloop._native.kernel.epoll cimport zc_edges_of, zc_is_stopped
from zcloop._native.kernel.errors cimport raise_os_error
from zcloop._native.kernel.eventfd cimport EFD_CLOEXEC, EFD_NONBLOCK, eventfd
from zcloop._native.kernel.fcntl cimport F_DUPFD_CLOEXEC
from zcloop._native.kernel.pthread cimport (
    SIG_SETMASK, pthread_create, pthread_join, pthread_mutex_destroy, pthread_mutex_init,
    pthread_mutex_lock, pthread_mutex_unlock, pthread_sigmask, sigfillset, sigset_t,
)
from zcloop._native.kernel.socket cimport zc_receive_from
from zcloop._native.memory.region cimport USED_BY_KERNEL, Lease

# Bytes of a block: a UDP datagram has at most 65,507. Larger Unix ones are cut, as recvfrom cuts.
cdef size_t DATAGRAM_SIZE = 64 * 1024
# Datagrams on a shelf: their blocks take 64 MiB.
cdef unsigned DEPTH_MAX = 1024
# Receives in a row before the thread looks whether it is to stop, as datagrams may never end.
cdef unsigned RECEIVES_MAX = 64


cdef void tell(Shelf *shelf) noexcept nogil:
    """Wake the loop, unless it was woken and has not looked since. Called with the lock."""
    cdef uint64_t one = 1
    if not shelf.is_told:
        shelf.is_told = True
        write(shelf.event_fd, &one, sizeof(one))


cdef void put(Shelf *shelf, Arrived *entry) noexcept nogil:
    """Put what has arrived on the shelf. `entry.block` is then the block to fill next."""
    cdef Arrived *place
    cdef unsigned empty
    pthread_mutex_lock(&shelf.lock)
    if shelf.count == shelf.depth:
        empty = shelf.arrived[shelf.first].block
        shelf.first = (shelf.first + 1) % shelf.depth
        shelf.count -= 1
        shelf.dropped += 1
    else:
        shelf.free_count -= 1
        empty = shelf.free[shelf.free_count]
    place = &shelf.arrived[(shelf.first + shelf.count) % shelf.depth]
    place[0] = entry[0]
    shelf.count += 1
    tell(shelf)
    pthread_mutex_unlock(&shelf.lock)
    entry.block = empty


cdef void *drain(void *argument) noexcept nogil:
    """What the thread runs."""
    cdef Shelf *shelf = <Shelf *> argument
    cdef Arrived entry
    cdef ssize_t got
    cdef unsigned _count
    cdef bint is_empty = True
    entry.block = shelf.depth + 1
    while not zc_is_stopped(shelf.poller, shelf.stop_fd, is_empty):
        is_empty = False
        for _count in range(RECEIVES_MAX):
            entry.name_size = NAME_SIZE
            got = zc_receive_from(shelf.fd, shelf.memory[entry.block], DATAGRAM_SIZE,
                                  entry.name, &entry.name_size)
            if got >= 0:
                entry.size = got
                put(shelf, &entry)
            elif errno == EAGAIN:
                is_empty = True
                break
            elif errno != EINTR:
                pthread_mutex_lock(&shelf.lock)
                shelf.failed = errno
                tell(shelf)
                pthread_mutex_unlock(&shelf.lock)
    pthread_mutex_lock(&shelf.lock)
    shelf.free[shelf.free_count] = entry.block
    shelf.free_count += 1
    pthread_mutex_unlock(&shelf.lock)
    return NULL


cdef class Newest:
    """Keep the last `depth` datagrams of `fd`, in memory of the lender.

    Raises ValueError for a depth below 1 or above 1,024, MemoryError and OSError.
    """

    def __cinit__(self, Lender lender not None, int fd, unsigned depth):
        cdef unsigned index
        cdef Lease lease
        if depth < 1 or depth > DEPTH_MAX:
            raise ValueError(f"depth is a number of datagrams from 1 to {DEPTH_MAX}, not {depth}")
        self.blocks = []
        self.shelf = <Shelf *> calloc(1, sizeof(Shelf))
        if self.shelf == NULL:
            raise MemoryError("newest datagrams")
        pthread_mutex_init(&self.shelf.lock, NULL)
        self.shelf.fd = self.shelf.event_fd = self.shelf.stop_fd = self.shelf.poller = -1
        self.shelf.arrived = <Arrived *> calloc(depth, sizeof(Arrived))
        self.shelf.memory = <char **> calloc(depth + 2, sizeof(char *))
        self.shelf.free = <unsigned *> calloc(depth + 2, sizeof(unsigned))
        if not (self.shelf.arrived and self.shelf.memory and self.shelf.free):
            raise MemoryError("newest datagrams")
        for index in range(depth + 2):
            lease = lender.take(DATAGRAM_SIZE, USED_BY_KERNEL)
            if lease is None:
                raise MemoryError(f"no memory for {depth} datagrams of 64 KiB: ask for fewer, or "
                                  "raise the limit of the loop's lease pool")
            self.blocks.append(lease)
            self.shelf.memory[index] = lease.data
            self.shelf.free[index] = index
        self.shelf.free_count = depth + 1       # the last one is filled first
        self.shelf.depth = depth
        # A descriptor of its own: the program may close the socket that it gave, and then the
        # number may be another file's.
        self.shelf.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0)
        if self.shelf.fd < 0:
            raise_os_error(errno, "duplicating a socket")
        self.shelf.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        self.shelf.stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        if self.shelf.event_fd < 0 or self.shelf.stop_fd < 0:
            raise_os_error(errno, "eventfd")
        self.shelf.poller = zc_edges_of(self.shelf.fd, self.shelf.stop_fd)
        if self.shelf.poller < 0:
            raise_os_error(errno, "epoll")

    def __dealloc__(self):
        if self.shelf == NULL:
            return
        self.stop()
        if self.shelf.event_fd >= 0:
            close(self.shelf.event_fd)
        if self.shelf.stop_fd >= 0:
            close(self.shelf.stop_fd)
        if self.shelf.poller >= 0:
            close(self.shelf.poller)
        pthread_mutex_destroy(&self.shelf.lock)
        free(self.shelf.arrived)
        free(self.shelf.memory)
        free(self.shelf.free)
        free(self.shelf)

    cdef int start(self) except -1:
        cdef sigset_t every, before
        cdef int failed
        sigfillset(&every)
        pthread_sigmask(SIG_SETMASK, &every, &before)       # inherited by the thread
        failed = pthread_create(&self.thread, NULL, drain, self.shelf)
        pthread_sigmask(SIG_SETMASK, &before, NULL)
        if failed:
            raise_os_error(failed, "a thread for the newest datagrams")
        self.is_running = True
        return 0

    cdef int stop(self) noexcept:
        """End the thread and let go of the socket; what has arrived stays. Idempotent."""
        cdef uint64_t one = 1
        if self.is_running:
            self.is_running = False
            write(self.shelf.stop_fd, &one, sizeof(one))
            with nogil:
                pthread_join(self.thread, NULL)
        if self.shelf.fd >= 0:
            close(self.shelf.fd)
            self.shelf.fd = -1
        return 0

    cdef int event_fd(self) noexcept:
        return self.shelf.event_fd

    cdef void forget_event(self) noexcept:
        """Call this before `take`: whatever arrives from now on wakes the loop again."""
        cdef uint64_t count
        read(self.shelf.event_fd, &count, sizeof(count))
        pthread_mutex_lock(&self.shelf.lock)
        self.shelf.is_told = False
        pthread_mutex_unlock(&self.shelf.lock)

    cdef void look_again(self) noexcept:
        """Call this after `take`: wake the loop if something was left, as nobody else will."""
        pthread_mutex_lock(&self.shelf.lock)
        if self.shelf.count:
            tell(self.shelf)
        pthread_mutex_unlock(&self.shelf.lock)

    cdef int pop_error(self) noexcept:
        """The errno of the last receive that failed since the last call, or 0."""
        pthread_mutex_lock(&self.shelf.lock)
        cdef int failed = self.shelf.failed
        self.shelf.failed = 0
        pthread_mutex_unlock(&self.shelf.lock)
        return failed

    cdef bint take(self, Arrived *taken) noexcept:
        """Take the oldest that has not given way; False if there is none. `give` its block back
        before the next one is taken."""
        cdef bint is_there
        pthread_mutex_lock(&self.shelf.lock)
        is_there = self.shelf.count != 0
        if is_there:
            taken[0] = self.shelf.arrived[self.shelf.first]
            self.shelf.first = (self.shelf.first + 1) % self.shelf.depth
            self.shelf.count -= 1
        pthread_mutex_unlock(&self.shelf.lock)
        return is_there

    cdef void give(self, Arrived *taken) noexcept:
        """The block of what was taken is free again."""
        pthread_mutex_lock(&self.shelf.lock)
        self.shelf.free[self.shelf.free_count] = taken.block
        self.shelf.free_count += 1
        pthread_mutex_unlock(&self.shelf.lock)

    cdef object lend(self, Lender lender, Arrived *taken):
        """A view of what was taken: of its block, which another block replaces here, or of a copy
        if it is small or there is no other block."""
        cdef char *data = self.shelf.memory[taken.block]
        cdef Lease fresh
        if taken.size <= lender.copybreak:
            return lender.copy(data, taken.size)
        fresh = None if lender.account.is_over() else lender.take(DATAGRAM_SIZE, USED_BY_KERNEL)
        if fresh is None:
            return lender.starve(data, taken.size)
        lease = <Lease> self.blocks[taken.block]
        self.blocks[taken.block] = fresh
        self.shelf.memory[taken.block] = fresh.data
        return lender.lend(lease, taken.size)

    @property
    def dropped(self):
        """Datagrams that gave way to newer ones since the beginning."""
        return self.shelf.dropped
