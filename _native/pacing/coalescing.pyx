"""Coalescing: messages of a flood gather for some microseconds before they wake the loop.

A sender that is about as fast as its reader wakes it for every second or third datagram, which
costs both of them more than the datagram. Network cards have moderated their interrupts so for
long (`ethtool --coalesce`). Here it is the kernel's minimum wait (`min_wait_usec`, Linux 6.12): the
sleep lasts so long, unless more requests have something than there are such flows. So whatever
else comes wakes the loop with the next message of each flow.

A flow joins when it has proved to be one. Each sleep is judged by the next: if a flow brought
next to nothing in one, the epoch ends, and every flow has to prove itself again. So when a flood
halts, what comes next, of whatever kind, is late once, by at most `limit_us` and the timer slack of
the thread, which is 50 microseconds if nobody has changed it.
"""

from libc.stdint cimport int64_t, uint64_t

from zcloop._native.kernel.clock cimport monotonic_ns


cdef class Coalescing:
    def __cinit__(self, unsigned limit_us):
        self.limit_us = limit_us
        self.epoch = 1

    cdef uint64_t join(self) noexcept:
        """Of a flow: the epoch for whose length the loop's sleeps wait for more of it."""
        self.flows += 1
        self.judge_anew(monotonic_ns())
        return self.epoch

    cdef void end(self) noexcept:
        """No flow is one any more."""
        self.flows = 0
        self.epoch += 1

    cdef void judge_anew(self, int64_t now) noexcept:
        self.judgement += 1
        self.fruitful = 0
        self.then_ns = now

    cdef bint is_worth_it(self) noexcept:
        """Asked before each sleep while there are flows."""
        cdef int64_t now = monotonic_ns()
        if now - self.then_ns >= self.limit_us * <int64_t> 1000:
            if self.fruitful < self.flows:
                self.end()
                return False
            self.judge_anew(now)
        self.sleeps += 1
        return True
