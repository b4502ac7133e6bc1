"""A shared ring over epoll: a thread of its own carries requests on while the program does else.

An event channel promises that its requests go on by themselves: data that comes is received, and a
write goes on when there is room, whether or not the program looks. For an io_uring the kernel does
that. Here a thread does, which sleeps until epoll has something, and runs no Python.

    lock    held by whoever touches the ring: the thread, and any thread of the program that
            submits, takes or closes, which also has the GIL. Nobody sleeps with it, since all calls
            under it are of the kind that does not block.
    bell    an eventfd, and the ring's own fd, which the program may poll. It is written at each
            completion, so that edge triggered polls hear of each, and cleared when the last
            completion has been taken.
    news    an eventfd for `sleep`, which waits for a number of completions without the lock.

The thread only polls the epoll instance before it has the lock, and takes events from it with the
lock. So no event that it has taken can be of a request that has ended meanwhile.
"""

from libc.errno cimport errno
from libc.stdint cimport int64_t, uint64_t
from posix.unistd cimport close, getpid, read, write

from zcloop._native.kernel.atomics cimport load_acquire, store_release
from zcloop._native.kernel.calling_thread cimport start_thread
from zcloop._native.kernel.errors cimport raise_os_error
from zcloop._native.kernel.eventfd cimport EFD_CLOEXEC, EFD_NONBLOCK, eventfd
from zcloop._native.kernel.poll cimport zc_wait_readable
from zcloop._native.kernel.pthread cimport (
    pthread_join, pthread_mutex_init, pthread_mutex_lock, pthread_mutex_unlock,
)
from zcloop._native.kernel.uring cimport io_uring_getevents_arg, kernel_timespec
from zcloop._native.ring.jobs cimport CALL_OUT_NS


cdef void *run(void *argument) noexcept nogil:
    """The thread. It borrows its ring, which joins the thread before it goes."""
    (<PumpedRing> argument).pump()
    return NULL


cdef class PumpedRing(ReadinessRing):
    def __cinit__(self, unsigned entries, unsigned cq_entries, bint is_shared=True):
        cdef int failed
        pthread_mutex_init(&self.lock, NULL)
        self.bell_fd = self.news_fd = -1
        self.bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        if self.bell_fd < 0:
            raise_os_error(errno, "eventfd")
        self.news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        if self.news_fd < 0:
            raise_os_error(errno, "eventfd")
        failed = start_thread(run, <void *> self, &self.thread)
        if failed:
            raise_os_error(-failed, "no thread is to be had for an event channel")
        self.has_thread = True
        self.pid = getpid()
        self.uring.ring_fd = self.bell_fd

    def abandon(self):
        if getpid() == self.pid:
            return self.close()     # the thread is in this process, and uses the memory
        if self.is_open:
            close(self.epoll_fd)
            close(self.news_fd)
            self.has_thread = False
        ReadinessRing.abandon(self)

    cdef void free_queues(self) noexcept nogil:
        self.stop()
        if self.bell_fd >= 0:
            close(self.bell_fd)
        if self.news_fd >= 0:
            close(self.news_fd)
        self.bell_fd = self.news_fd = -1
        ReadinessRing.free_queues(self)

    # ---- the thread --------------------------------------------------------------------------

    cdef void pump(self) noexcept nogil:
        cdef int64_t timeout_ns = -1
        # `is_stopped` is looked at twice: the event that `stop` writes may have been taken already.
        while not load_acquire(&self.is_stopped):
            zc_wait_readable(self.epoll_fd, timeout_ns)
            if load_acquire(&self.is_stopped):
                return
            pthread_mutex_lock(&self.lock)
            self.advance()
            # A worker that is called out of its call is called again, until it has left it.
            timeout_ns = CALL_OUT_NS if self.jobs.called_out.first != NULL else -1
            self.tell()
            pthread_mutex_unlock(&self.lock)

    cdef void stop(self) noexcept nogil:
        cdef uint64_t one = 1
        if self.has_thread:
            self.has_thread = False
            store_release(&self.is_stopped, 1)
            write(self.jobs.inbox.event_fd, &one, sizeof(one))
            pthread_join(self.thread, NULL)

    cdef void tell(self) noexcept nogil:
        """With the lock: write to bell and news if something has completed since the last time."""
        cdef uint64_t one = 1
        cdef unsigned now = self.cq_tail + <unsigned> (self.overflow.first != NULL)
        if now != self.told:
            self.told = now
            write(self.bell_fd, &one, sizeof(one))
            write(self.news_fd, &one, sizeof(one))

    # ---- whoever has the GIL -----------------------------------------------------------------

    cdef int push(self) noexcept nogil:
        cdef uint64_t one = 1
        cdef int failed
        self.enters += 1
        pthread_mutex_lock(&self.lock)
        failed = self.begin_all()
        if self.jobs.called_out.first != NULL:
            # The pump is to wake, and then calls the worker again each CALL_OUT_NS.
            write(self.jobs.inbox.event_fd, &one, sizeof(one))
        self.tell()
        pthread_mutex_unlock(&self.lock)
        return failed

    cdef int make_room(self) noexcept nogil:
        return self.push()

    cdef void took(self) noexcept nogil:
        cdef uint64_t count
        if self.visible():
            return
        pthread_mutex_lock(&self.lock)
        if self.visible() == 0 and self.overflow.first == NULL:
            read(self.bell_fd, &count, sizeof(count))
        pthread_mutex_unlock(&self.lock)

    cdef int sleep(self, unsigned wait_count, kernel_timespec *timeout) noexcept nogil:
        cdef uint64_t count
        cdef int64_t timeout_ns = -1
        if wait_count == 0:
            pthread_mutex_lock(&self.lock)
            self.advance()
            self.drain_overflow()
            self.told = self.cq_tail + <unsigned> (self.overflow.first != NULL)
            pthread_mutex_unlock(&self.lock)
            return 0
        if timeout != NULL:
            timeout_ns = timeout.tv_sec * <int64_t> 1000000000 + timeout.tv_nsec
        read(self.news_fd, &count, sizeof(count))
        if self.visible() >= wait_count or self.has_overflow():
            return 0
        return zc_wait_readable(self.news_fd, timeout_ns)

    cdef int enter_with(self, unsigned wait_count, unsigned flags,
                        io_uring_getevents_arg *argument, size_t size) noexcept nogil:
        """Submit, do what can be done, and wait. Only the end of a channel asks for it, again and
        again; the thread may not get the lock meanwhile, so the work is done here."""
        cdef int got = self.push()
        if got == 0:
            self.sleep(0, NULL)
            if self.visible() < wait_count:
                got = self.sleep(wait_count, NULL)
        return got

    cdef int wait(self, unsigned wait_count, unsigned min_wait_us,
                  kernel_timespec *timeout) noexcept nogil:
        cdef int got = self.push()
        return got if got else self.sleep(wait_count, timeout)
