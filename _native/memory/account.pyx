"""Who holds how much of the lent memory, and what became of the bytes that came for them.

The holder is a transport. It is borrowed, not owned: leases own their account, and one that a
transport keeps would otherwise keep the transport for ever. Under the GIL; leases come back on
any thread.
"""


cdef class Account:
    cdef void charge(self, size_t size) noexcept:
        self.held += size
        self.leases += 1

    cdef void wait(self) noexcept:
        """The holder has paused itself until enough has come back."""
        self.is_waiting = True
        self.pauses += 1

    cdef void credit(self, size_t size) noexcept:
        self.held -= size
        self.leases -= 1
        # Half, so that a holder at its limit is not paused and resumed with every message.
        self.relieve(self.quota // 2)

    cdef void relieve(self, size_t enough) noexcept:
        """Let the holder go on if it waits and holds no more than `enough`."""
        if self.is_waiting and self.held <= enough:
            self.is_waiting = False
            if self.holder != NULL:
                self.relieved(self.holder)
