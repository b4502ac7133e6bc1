"""Where what arrives waits while its protocol is paused: the base of streams and datagrams.

    reading --pause_reading()--> paused: what comes nevertheless is held
    paused --resume_reading()--> what is held is handed over by a callback, oldest first
    nothing is held any more --> reading

Nothing is received while something is held: arrange_reading() of each kind sees to that. So no more
is held than what the receive in flight brings until it is cancelled.
"""

cimport cython
from cpython.object cimport PyObject

from zcloop._native.kernel.sealed cimport seal


@cython.no_gc_clear     # its fd goes with it, which needs the core
cdef class Inlet(Endpoint):
    def __dealloc__(self):
        # Before `held`, the protocol and the face are dropped: that may run code of the program,
        # which must not find the transport any more. The fields are NULL if the making of the
        # Descriptor has failed.
        if <PyObject *> self.lender != NULL:
            self.disown_account()
        if <PyObject *> self.core != NULL and self.core is not None:
            self.core.remove_transport(self.fd, self)

    # ---- holding -----------------------------------------------------------------------------

    cdef Held ensure_held(self):
        if self.held is None:
            self.held = Held.__new__(Held)
        return self.held

    cdef int keep(self, object data, object address) except -1:
        """Hold bytes or a view, of a datagram with its sender, until the protocol may be called."""
        return self.ensure_held().keep(data, address)

    cdef int keep_end(self) except -1:
        return self.ensure_held().keep_end()

    cdef int keep_error(self, int errno_) except -1:
        return self.ensure_held().keep_error(errno_)

    cdef int put_back(self, object data) except -1:
        """Hold the rest of a delivery that was left in the middle, before all else that is held."""
        self.ensure_held().put_back(data)
        return 0 if self.is_paused else self.want_delivery()

    cdef int drop_held(self) except -1:
        """The transport is closing: what is held is nobody's any more."""
        held, self.held = self.held, None
        return 0 if held is None else (<Held> held).drop()

    # ---- pausing -----------------------------------------------------------------------------

    def pause_reading(self):
        if self.is_closing_ or self.is_paused:
            return
        self.is_paused = True
        self.stop_reading()
        self.log("%r pauses reading")

    def resume_reading(self):
        if self.is_closing_ or not self.is_paused:
            return
        self.is_paused = False
        self.log("%r resumes reading")
        if self.held is not None:
            self.want_delivery()
        else:
            self.update_reading()

    def _leases_returned(self):
        if self.held is not None and not self.is_paused and not self.is_closing_:
            self.core.over_quota.discard(self)
            self.want_delivery()
        else:
            Endpoint._leases_returned(self)

    # ---- handing over ------------------------------------------------------------------------

    cdef bint is_holding_back(self) noexcept:
        return self.is_paused

    cdef int deliver_item(self, HeldItem item) except -1:
        """Tell the protocol of something that was held."""
        return 0

    cdef int deliver_rest(self, object data) except -1:
        return 0

    cdef int fell_behind(self) except -1:
        self.pause_if_over_quota()
        return 0

    cdef int want_delivery(self) except -1:
        """Hand over what is held by a callback of the loop, which is posted once."""
        if not self.held.is_posted:
            self.held.is_posted = True
            self.core.call(self._deliver_held, (), None)
        return 0

    def _deliver_held(self):
        """Hand over what is held, oldest first, until the protocol pauses again."""
        cdef Held held = self.held
        if held is not None:
            held.is_posted = False
        try:
            while (self.held is not None and not self.held.is_empty()
                   and not self.is_holding_back() and not self.is_closing_):
                self.deliver_item(self.held.pop_oldest())
        finally:
            if self.is_closing_:
                self.drop_held()
            elif self.held is not None and self.held.is_empty():
                self.held = None
            if not self.is_holding_back() and not self.is_closing_:
                if self.held is not None:
                    self.want_delivery()    # an exception ended the delivery before all was told
                else:
                    self.update_reading()


seal(Inlet)
