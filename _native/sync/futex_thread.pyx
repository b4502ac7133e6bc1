"""A thread that sleeps on a futex word for a ring that cannot, and an eventfd that says when the
wait is over: for kernels before 6.7, and for channels without io_uring.

    begin     a thread sleeps until the word is woken; there is none if the word differs already
    (poll)    `fd` is readable: it is worth an attempt
    end       the thread is called out if it still sleeps, and joined

The ring only has to poll a descriptor. A thread lives exactly as long as one wait. It holds no
Python object and never takes the GIL. So `end` keeps the GIL: nothing else runs while a wait is
settled, and the thread answers within microseconds.

Rejected: one thread for up to 128 words (futex_waitv, since 5.16). It has to be called out for each
wait that begins or ends, and each wake-up passes through it to find whose it is.
"""

from libc.errno cimport EAGAIN, EINTR, ENOMEM, errno
from libc.stdint cimport uint64_t
from posix.unistd cimport close, getpid, read, write

from zcloop._native.kernel.calling_thread cimport end_call, start_call
from zcloop._native.kernel.errors cimport raise_os_error
from zcloop._native.kernel.eventfd cimport EFD_CLOEXEC, EFD_NONBLOCK, eventfd
from zcloop._native.kernel.futex cimport futex_wait, load32
from zcloop._native.kernel.sealed cimport seal


cdef FutexThread make_futex_thread():
    """OSError where there is no descriptor for it: EMFILE, ENFILE, ENOMEM."""
    cdef FutexThread thread = FutexThread.__new__(FutexThread)
    thread.fd = thread.call.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
    if thread.fd < 0:
        raise_os_error(errno, "an eventfd for a thread that waits for a futex")
    return thread


cdef int sleep_on(void *argument) noexcept nogil:
    """This runs in the thread. -EINTR when a signal has called it out."""
    cdef Sleep *target = <Sleep *> argument
    return futex_wait(target.word, target.expected, -1)


cdef class FutexThread:
    def __cinit__(self):
        self.fd = -1

    def __dealloc__(self):
        self.end()
        if self.fd >= 0:
            close(self.fd)

    cdef void begin(self, Sleep target) noexcept:
        """Nothing if it is begun already: an operation that was taken back from the kernel is
        submitted again, and the thread sleeps on meanwhile."""
        cdef uint64_t one = 1
        if self.is_begun:
            return
        self.is_begun = True
        self.pid = getpid()
        self.result = -EAGAIN
        if load32(target.word) == target.expected:
            self.target = target
            self.call.work = sleep_on
            self.call.argument = &self.target
            self.is_running = start_call(&self.call) == 0
            if self.is_running:
                return
            self.result = -ENOMEM       # as every request says that there are no means for
        write(self.fd, &one, sizeof(one))

    cdef int end(self) noexcept:
        """0, -EAGAIN or -EINTR: it is worth an attempt. Another -errno: it could not wait.
        Idempotent."""
        cdef uint64_t count
        if not self.is_begun:
            return -EINTR
        self.is_begun = False
        if self.pid != getpid():
            return -EINTR       # the thread, and what its eventfd counts, are the parent's
        if self.is_running:
            self.is_running = False
            return end_call(&self.call)
        read(self.fd, &count, sizeof(count))
        return self.result


seal(FutexThread)
