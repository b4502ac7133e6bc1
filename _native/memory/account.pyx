"""How much lent memory one transport holds, and what became of the bytes that it was delivered.

    reads --more is held than the quota: mark_waiting()--> is_waiting, reads no more
    is_waiting --half of the quota or less is held: relieved(holder)--> reads

The transport, its holder, is borrowed and not owned. A lease owns its account, so a lease that the
transport keeps would otherwise keep the transport for ever. All of this happens under the GIL, and
leases come back in any thread.
"""


cdef class Account:
    cdef void charge(self, size_t size) noexcept:
        """The holder was given a lease of `size` bytes."""
        self.held += size
        self.leases += 1

    cdef void mark_waiting(self) noexcept:
        """The holder pauses itself until enough has come back."""
        self.is_waiting = True
        self.pauses += 1

    cdef void credit(self, size_t size) noexcept:
        """A lease of `size` bytes has come back."""
        self.held -= size
        self.leases -= 1
        # Half of it, so that a holder at its limit is not paused and resumed with every message.
        self.relieve(self.quota // 2)

    cdef void relieve(self, size_t enough) noexcept:
        """Let the holder go on if it waits and holds no more than `enough`."""
        if self.is_waiting and self.held <= enough:
            self.is_waiting = False
            if self.holder != NULL:
                self.relieved(self.holder)
