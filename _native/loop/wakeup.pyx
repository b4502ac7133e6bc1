"""What wakes a sleeping loop from outside: another thread, or a signal.

Another thread writes to an eventfd, on which the channel has a poll. Nothing is armed for it while
the loop is awake: `is_sleeping`, under the GIL, tells the other thread whether its append to the
ready queue needs the eventfd, and only then is it written.

A signal writes its number to the pipe that `signal.set_wakeup_fd` was given. The read of that pipe
is always in flight, so that a loop that never sleeps hears of signals, too.
"""

from libc.errno cimport EBADF, errno
from libc.stdint cimport uint32_t, uint64_t
from posix cimport unistd

from zcloop._native.kernel.collector cimport let_program_in, program_left
from zcloop._native.kernel.errors cimport raise_os_error
from zcloop._native.kernel.eventfd cimport EFD_CLOEXEC, eventfd
from zcloop._native.kernel.poll cimport POLLIN
from zcloop._native.kernel.sealed cimport seal
from zcloop._native.operation.operation cimport IDLE, Operation
from zcloop._native.operation.poll cimport make_poll
from zcloop._native.operation.read cimport make_read


cdef Wakeup make_wakeup(LoopChannel channel):
    cdef Wakeup wakeup = Wakeup.__new__(Wakeup)
    wakeup.channel = channel
    wakeup.open()
    return wakeup


cdef class Wakeup(Owner):
    def __cinit__(self):
        self.event_fd = -1

    def __dealloc__(self):
        if self.event_fd >= 0:
            unistd.close(self.event_fd)

    # ---- by another thread -------------------------------------------------------------------

    cdef int open(self) except -1:
        """Make the eventfd. A forked child must not share its parent's."""
        self.event_fd = eventfd(0, EFD_CLOEXEC)
        if self.event_fd < 0:
            raise_os_error(errno, "eventfd")
        self.event_poll = make_poll(self, self.event_fd, POLLIN)
        self.event_poll.is_multishot = True
        return 0

    cdef int close(self) except -1:
        """End for good, once the channel is closed. Idempotent."""
        if self.event_poll is not None:
            self.event_poll.owner = None    # or the two would keep each other
        return self.abandon()

    cdef int abandon(self) except -1:
        """Close the eventfd alone: in a forked child the poll is the parent's."""
        self.is_sleeping = False
        if self.event_fd >= 0:
            unistd.close(self.event_fd)
            self.event_fd = -1
        return 0

    cdef int listen(self) except -1:
        """Have the eventfd polled, before the loop sleeps."""
        if self.event_poll.state == IDLE:
            self.channel.submit(self.event_poll)
        return 0

    cdef int write(self) except -1:
        """End the loop's sleep, from any thread. No system call while it is awake."""
        cdef uint64_t one = 1
        if self.is_sleeping and not self.channel.is_forked:
            self.is_sleeping = False    # the next one need not write
            if unistd.write(self.event_fd, &one, 8) < 0 and errno != EBADF:
                raise_os_error(errno, "waking the loop")
        return 0

    # ---- by a signal -------------------------------------------------------------------------

    cdef int listen_signals(self, object loop, int fd) except -1:
        """Tell `loop` the numbers that are written to this pipe; -1 stops. The fd stays the
        caller's. What is told is read from the next `read_signals` on."""
        if self.signal_read is not None:
            self.signal_read.owner = None
            self.channel.cancel(self.signal_read)
            self.signal_read = self.loop = None
        if fd >= 0:
            self.loop = loop
            self.signal_read = make_read(self, fd, self.signal_buffer, sizeof(self.signal_buffer))
        return 0

    cdef int read_signals(self) except -1:
        if self.signal_read is not None and self.signal_read.state == IDLE:
            self.channel.submit(self.signal_read)
        return 0

    cdef int completed(self, Operation operation, int result, uint32_t flags) except -1:
        cdef bint before
        if operation is self.signal_read:
            loop = self.loop
            numbers = self.signal_buffer[:result] if result > 0 else b""
            self.channel.submit(self.signal_read)
            before = let_program_in()
            try:
                loop._process_self_data(numbers)
            finally:
                program_left(before)
        return 0

    # ---- between two runs --------------------------------------------------------------------

    cdef int unpark(self) except -1:
        """Back from the channel's table, where its requests would keep a loop alive that nobody
        closes."""
        self.channel.unpark(self.event_poll)
        if self.signal_read is not None:
            self.channel.unpark(self.signal_read)
        return 0


seal(Wakeup)
