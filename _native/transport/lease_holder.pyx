"""A transport that holds leases: what it received into lent memory, or will write.

    lent        a `Lender`, made when first asked for, lends memory and counts what is held. Over
                its quota the transport reads no more until enough leases have come back
    written     a lease of `zero_copy_min` bytes or more is sent without a copy into the kernel

A transport decides at its first written lease whether to send without a copy ("auto"): it does
where the bytes leave the machine, until the kernel says that it had to copy them after all.
"""

cimport cython
from libc.errno cimport EAGAIN, EINTR, EINVAL, ENOMEM

from zcloop._native.kernel.collector cimport hold_collector, let_collector_go
from zcloop._native.kernel.errors cimport ECANCELED, ENOBUFS, EOPNOTSUPP
from zcloop._native.kernel.limits cimport NEVER
from zcloop._native.kernel.sealed cimport seal
from zcloop._native.memory.account cimport Account
from zcloop._native.memory.region cimport Lease, Region
from zcloop._native.operation.send_zero_copy cimport make_send_zero_copy

# The modes of set_zero_copy_send.
cdef dict _ZERO_COPY_MODES = {
    "auto": ZERO_COPY_UNDECIDED, "always": ZERO_COPY_ALWAYS, "never": ZERO_COPY_NEVER,
}


cdef void leases_returned(void *holder) noexcept:
    """Enough leases of this holder have come back. Runs in whichever thread released the last."""
    cdef LeaseHolder transport = <LeaseHolder> holder
    try:
        transport.core.call_soon_threadsafe(transport._leases_returned)
    except RuntimeError:
        pass        # the loop is closed


@cython.no_gc_clear     # as of a Descriptor
cdef class LeaseHolder(ProtocolHolder):
    # ---- what is lent ------------------------------------------------------------------------

    cpdef Lender ensure_lender(self):
        """What lends this transport its memory, made when first asked for."""
        cdef bint is_held
        if self.lender is None:
            is_held = hold_collector()      # or a finalizer might make another
            try:
                self.lender = Lender(self.channel.lending_pool())
                self.lender.account.holder = <void *> self
                self.lender.account.relieved = leases_returned
            finally:
                let_collector_go(is_held)
        return self.lender

    cdef int disown_account(self) noexcept:
        """Tell this transport no more that leases have come back. Idempotent.

        This must be done before the garbage collector clears the transport: to clear it may end
        leases, whose callback would then find it half cleared.
        """
        if self.lender is not None:
            self.lender.account.holder = NULL
        return 0

    def pause_if_over_quota(self):
        """Read no more, if more is lent than the quota, until enough of it has come back."""
        if self.ensure_lender().pause_if_over():
            self.core.over_quota.add(self)     # no operation holds it meanwhile
            self.update_reading()

    def _leases_returned(self):
        self.core.over_quota.discard(self)
        if not self.is_lost:
            self.update_reading()

    def reserve(self, size, bint zeroed=True):
        self.channel.check_usable()
        return self.ensure_lender().reserve(size, zeroed)

    def set_quota(self, quota):
        self.ensure_lender().set_quota(quota)

    def associate(self, region):
        self.ensure_lender().associate(region)
        self.update_reading()

    def disassociate(self, region):
        self.ensure_lender().disassociate(region)
        self.update_reading()

    cdef int update_reading(self) except -1:
        return 0

    # ---- sending without a copy --------------------------------------------------------------

    def set_zero_copy_send(self, str mode):
        if mode not in _ZERO_COPY_MODES:
            raise ValueError(f"mode is one of {', '.join(_ZERO_COPY_MODES)}, not {mode!r}")
        self.zero_copy_mode = _ZERO_COPY_MODES[mode]
        self.zero_copy_min = 0
        if self.zero_copy_mode != ZERO_COPY_UNDECIDED:
            self.choose_zero_copy(1, True)

    cdef int choose_zero_copy(self, size_t threshold, bint leaves_machine) except -1:
        """Decide whether to send without a copy, and from how many bytes on. What is sent to the
        same machine the kernel always copies."""
        self.zero_copy_min = NEVER
        if self.zero_copy_mode == ZERO_COPY_NEVER or not self.channel.has_send_zero_copy:
            return 0
        if self.zero_copy_mode == ZERO_COPY_UNDECIDED:
            self.zero_copy_mode = ZERO_COPY_AUTO
        if leaves_machine:
            self.zero_copy_min = threshold
        return 0

    cdef SendZeroCopy make_zero_copy(self, object lease, const char *data, size_t size):
        """The operation that sends these bytes of a lease, from pinned memory if that pays.

        RLIMIT_MEMLOCK counts rings and pinned memory of all processes of a user. So no region is
        pinned before the network has taken something of this connection in place.
        """
        cdef Region region = (<Lease> lease).region
        cdef int pin = self.channel.pin_of(region)
        if pin < 0 and region.pinned and self.ensure_lender().account.sent_zero_copy_bytes:
            self.channel.pin(region)
            pin = self.channel.pin_of(region)
        return make_send_zero_copy(self, self.fd, lease, data, size, pin)

    cdef int submit_zero_copy(self, SendZeroCopy operation) except -1:
        """Submit the send. The transport is blocked before that, so that nobody submits it twice,
        and until the result is known."""
        self.is_blocked = True
        self.zero_copy_send = operation
        try:
            self.channel.submit(operation)
        except BaseException:
            self.zero_copy_send = None
            self.is_blocked = False
            raise
        return 0

    cdef bint is_zero_copy_result_final(self, int result) except -1:
        """Whether an error ends the connection. After any other error the bytes are sent again: by
        a copy if this socket cannot send without one."""
        if result == -EINVAL:
            self.channel.has_send_zero_copy = False     # a kernel before 6.2
        if result in (-EINVAL, -EOPNOTSUPP, -ENOMEM, -ENOBUFS):
            # Another kind of socket, or net.core.optmem_max bounds what may be in the air.
            self.zero_copy_min = NEVER
            return False
        return result not in (-ECANCELED, -EINTR, -EAGAIN)

    cdef int notified(self, SendZeroCopy operation, bint is_copied) except -1:
        """The kernel has let go of the memory, and says whether it copied."""
        cdef Account account = self.ensure_lender().account
        if not is_copied:
            account.sent_zero_copy_bytes += operation.size
            return 0
        account.kernel_copied_bytes += operation.size
        if self.zero_copy_mode == ZERO_COPY_AUTO:
            self.zero_copy_min = NEVER      # it pays only where the network takes bytes in place
        return 0


seal(LeaseHolder)
