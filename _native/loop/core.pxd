from libc.stdint cimport int64_t, uint64_t
from cpython.object cimport PyObject

from zcloop._native.channel.loop_channel cimport LoopChannel
from zcloop._native.pacing.bulk_reading cimport BulkReading
from zcloop._native.loop.client cimport Client
from zcloop._native.loop.handle cimport Handle
from zcloop._native.loop.scheduler cimport Scheduler
from zcloop._native.loop.socket_wait cimport SocketWait
from zcloop._native.loop.watch cimport Watch
from zcloop._native.operation.operation cimport Owner
from zcloop._native.operation.poll cimport Poll
from zcloop._native.operation.read cimport Read


cdef class Core(Scheduler):
    cdef readonly LoopChannel channel
    cdef bint is_sleeping           # a wake-up from outside needs the eventfd; under the GIL
    cdef int event_fd
    cdef bint has_event_fd          # it was made
    cdef dict watches               # fd -> Watch
    cdef list socket_watches        # those of Python sockets, which may be closed underneath
    cdef list socket_holders        # waits of coroutines, and listeners
    cdef list unarmed               # watches to arm before the next submission
    cdef set waiting                # transports that are not read from until leases come back
    cdef Poll event_poll
    cdef int signal_fd              # read end of the pipe that signal.set_wakeup_fd writes to
    cdef char[256] signal_buffer
    cdef Read signal_read
    cdef list flushing              # clients with output that this turn's end pushes, oldest first
    cdef BulkReading bulk_reading
    cdef set raised                 # low-water marks of sockets; none is at the end of a run
    # fd -> the transport that has it (borrowed: it takes itself out at its end)
    cdef PyObject **transports
    cdef int transports_size
    cdef uint64_t turns
    cdef uint64_t sleeps
    # Of all transports; copied in user space on their way, those of leases not counted.
    cdef uint64_t received_bytes
    cdef uint64_t sent_bytes
    cdef uint64_t copied_bytes
    cdef int64_t asleep_ns          # in waits that may sleep, the wait for the GIL after it too
    cdef int64_t ran_ns             # in runs that are over
    cdef int64_t run_start          # of the one that goes on; 0 between two

    cdef inline bint is_busy(self) noexcept:
        """Whether this turn has others to serve, or has served others that wait for its end."""
        return (self.ready.count() != 0 or len(self.flushing) != 0
                or not self.channel.completions.is_empty())

    cdef bint is_idle_until(self, double when) noexcept
    cdef int want_flush(self, Client client) except -1
    cdef int flush(self) except -1
    cdef int add_transport(self, int fd, object transport) except -1
    cdef void remove_transport(self, int fd, object transport) noexcept
    cdef int end_run(self) except -1
    cdef int turn(self) except -1
    cdef bint is_only_ready(self) noexcept
    cdef int look(self) except -1
    cdef int dispatch(self) except -1
    cdef int flush_and_wait(self) except -1
    cdef int make_event(self) except -1
    cdef int listen_outside(self) except -1
    cdef int check_no_transport(self, object fd) except -1
    cdef bint remove_watch(self, object fileobj, bint is_reader) except -1
    cdef int arm_watches(self) except -1
    cdef int add_watch(self, object fileobj, bint is_reader, Handle handle) except -1
    cdef int add_watch_of(self, int fd, object fileobj, bint is_reader, Handle handle) except -1
    cdef SocketWait wait_for_socket(self, object socket, bint to_write, SocketWait before)
    cdef int check_sockets(self) except -1
    cdef object watch_of(self, object fileobj)
    cdef int forget_watch(self, Watch watch) except -1
