"""A barrier: one 64-bit word that changes as a whole.

    offset 0   kind, parties
           8   32 bits: the number of the round; all who have arrived sleep on it
               15 bits: how many have arrived
               1 bit: whether the barrier is broken
               16 bits: how the last rounds ended, the newest lowest: 1 broken, 0 passed

Who sleeps through more than 16 rounds finds no record of its own round, and takes it for passed.
"""

from libc.errno cimport EAGAIN, EPIPE

from zcloop._native.kernel.futex cimport EVERYBODY, futex_wake, load64, low_half, swap64
from zcloop._native.sync.words cimport BARRIER

# The parts of the word, as above.
cdef uint64_t ARRIVAL = <uint64_t> 1 << 32
cdef uint64_t ARRIVED_MASK = <uint64_t> 0x7FFF << 32
cdef uint64_t BROKEN = <uint64_t> 1 << 47
cdef int HISTORY_SHIFT = 48
cdef int HISTORY_ROUNDS = 16
SIZE = 16               # bytes
PARTIES_MAX = 0x7FFF    # the 15 bits of ARRIVED_MASK


cdef uint64_t next_round(uint64_t state, bint is_broken) noexcept nogil:
    """The state with which a round ends: nobody has arrived at the next."""
    cdef uint64_t history = state >> HISTORY_SHIFT << 1 | is_broken
    return history << HISTORY_SHIFT | <uint32_t> (state + 1)


cdef class BarrierWords(Words):
    def _create(self, parties, buffer, Py_ssize_t offset):
        if not 1 <= parties <= PARTIES_MAX:
            raise ValueError(f"{parties} parties: a barrier is for 1 to {PARTIES_MAX}")
        self.create(buffer, offset, SIZE, BARRIER)
        self.set_pointers()
        self.publish(BARRIER, parties)

    def _attach(self, buffer, Py_ssize_t offset):
        self.attach_to(buffer, offset, SIZE, BARRIER)
        self.set_pointers()

    cdef int set_pointers(self) except -1:
        self.state = <uint64_t *> (self.start + 8)
        self.word = low_half(self.state)
        return 0

    @property
    def parties(self):
        """How many have to arrive for a round to end."""
        self.check_open()
        return self.parameter()

    @property
    def n_waiting(self):
        """How many have arrived and wait for the others."""
        self.check_open()
        return (load64(self.state) & ARRIVED_MASK) >> 32

    @property
    def broken(self):
        """Whether `abort` was called, and no `reset` since."""
        self.check_open()
        return load64(self.state) & BROKEN != 0

    def _end_round(self, bint is_broken):
        self.check_open()
        self.end_round(is_broken)

    cdef int end_round(self, bint is_broken) except -1:
        """Break it, or reset it. Those who wait learn that this round is broken."""
        cdef uint64_t seen = load64(self.state)
        cdef uint64_t wanted
        while True:
            wanted = next_round(seen, True) if seen & ARRIVED_MASK else seen & ~BROKEN
            if is_broken:
                wanted |= BROKEN
            if swap64(self.state, &seen, wanted):
                break
        futex_wake(self.word, EVERYBODY)
        return 0

    cdef int arrive(self, uint32_t *round_) noexcept nogil:
        """One's place, from 0 on, and in `round_` the round; -EPIPE when the barrier is broken.

        Who arrives last ends the round, and wakes the others.
        """
        cdef uint64_t seen = load64(self.state)
        cdef uint64_t wanted
        cdef int place
        while True:
            if seen & BROKEN:
                return -EPIPE
            place = <int> ((seen & ARRIVED_MASK) >> 32)
            wanted = seen + ARRIVAL
            if place + 1 == <int> self.parameter():
                wanted = next_round(seen, False)
            if swap64(self.state, &seen, wanted):
                break
        round_[0] = <uint32_t> seen
        if place + 1 == <int> self.parameter():
            futex_wake(self.word, EVERYBODY)
        return place

    cdef int passed(self, uint32_t round_, int place) noexcept nogil:
        """`place` when the round has ended, -EPIPE when it was broken, -EAGAIN before its end."""
        cdef uint64_t seen = load64(self.state)
        cdef uint32_t age = <uint32_t> seen - round_
        if age == 0:
            return -EAGAIN
        if age <= <uint32_t> HISTORY_ROUNDS and seen >> HISTORY_SHIFT >> (age - 1) & 1:
            return -EPIPE
        return place

    cdef void depart(self, uint32_t round_) noexcept nogil:
        """One who arrived in this round does not wait for the others any more."""
        cdef uint64_t seen = load64(self.state)
        while <uint32_t> seen == round_ and seen & ARRIVED_MASK:
            if swap64(self.state, &seen, seen - ARRIVAL):
                return
