"""Coalescing: datagrams of a flood gather for some microseconds before they wake the loop.

A sender that is about as fast as its reader wakes the reader for every second or third datagram,
and a wake-up costs both of them more than the datagram. Network cards have moderated their
interrupts for the same reason (`ethtool --coalesce`). Here it is the kernel's minimum wait
(`min_wait_usec`, Linux 6.12): the sleep lasts `limit_us`, unless more requests complete than there
are flows that joined. So a completion of something else wakes the loop together with the next
datagram of each flow.

A `DatagramFlow` joins when it has proved to be a flood. From then on each sleep is a trial, or
several sleeps together that are shorter than `limit_us`.

    state      what happens                                then
    off        a flow joins                                waiting
    waiting    each flow brought four in this trial        waiting
    waiting    a flow brought fewer in this trial          off
    waiting    a run of the loop begins                    off

Whenever it goes off, the epoch ends, and every flow has to join again. So when a flood halts, what
comes next, of whatever kind, is late once: by at most `limit_us` and the timer slack of the thread,
which is 50 microseconds if nobody has changed it (PR_SET_TIMERSLACK(2const)).
"""

cimport cython
from libc.stdint cimport int64_t, uint64_t


@cython.final
cdef class Coalescing:
    def __cinit__(self, unsigned limit_us):
        self.limit_us = limit_us
        self.epoch = 1      # a flow that has not joined has epoch 0

    cpdef uint64_t join(self, int64_t now) noexcept:
        """Count a flow. Returns the epoch for whose length sleeps wait for more of it."""
        self.flows += 1
        self.begin_trial(now)
        return self.epoch

    cpdef void restart(self) noexcept:
        """End the epoch: no flow has joined any more."""
        self.flows = 0
        self.epoch += 1

    cpdef bint is_kept(self, int64_t now) noexcept:
        """Whether the sleep that begins now is to be longer. Asked only while there are flows."""
        if now - self.trial_start_ns >= self.limit_us * <int64_t> 1000:
            if self.fruitful_flows < self.flows:
                self.restart()
                return False
            self.begin_trial(now)
        self.sleeps += 1
        return True

    cdef void begin_trial(self, int64_t now) noexcept:
        self.trial += 1
        self.fruitful_flows = 0
        self.trial_start_ns = now
