from libc.stdint cimport int64_t, uint64_t

from zcloop._native.loop.client cimport Client
from zcloop._native.loop.output cimport Output
from zcloop._native.loop.transport_table cimport drop_transport, put_transport
from zcloop._native.loop.wakeup cimport Wakeup
from zcloop._native.loop.watches cimport Watching
from zcloop._native.pacing.bulk_reading cimport BulkReading


cdef class Core(Watching):
    cdef Wakeup wakeup
    cdef Output output
    cdef BulkReading bulk_reading
    cdef set over_quota             # transports that are not read from until leases come back
    cdef set raised_marks           # low-water marks that are above 1; none between two runs
    cdef uint64_t turns
    cdef uint64_t sleeps
    # Sums over all transports, in bytes.
    cdef uint64_t received_bytes
    cdef uint64_t sent_bytes
    cdef uint64_t copied_bytes      # copied in user space on their way; without those of leases
    cdef int64_t asleep_ns          # in waits that may sleep, with the wait for the GIL after them
    cdef int64_t ran_ns             # in runs that are over
    cdef int64_t run_start          # when the current run began (CLOCK_MONOTONIC), 0 between runs

    cdef inline bint is_busy(self) noexcept:
        """Whether this turn has others to serve, or has served others that wait for its end."""
        return (self.ready.count() != 0 or not self.output.is_empty()
                or not self.channel.completions.is_empty())

    # What transports ask of the loop they are of.

    cdef inline int want_flush(self, Client client) except -1:
        return self.output.add(client)

    cdef inline int add_transport(self, int fd, object transport) except -1:
        return put_transport(&self.transports, fd, transport)

    cdef inline void remove_transport(self, int fd, object transport) noexcept:
        drop_transport(&self.transports, fd, transport)

    cdef bint is_idle_until(self, double when) noexcept
    cdef int end_run(self) except -1
    cdef int turn(self) except -1
    cdef bint is_only_ready(self) noexcept
    cdef int look(self) except -1
    cdef int dispatch(self) except -1
    cdef int flush_and_wait(self) except -1
    cdef int64_t next_timeout_ns(self) noexcept
    cdef int sleep(self, int64_t timeout_ns) except -1
