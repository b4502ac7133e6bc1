cimport cython
from libc.stdint cimport uint16_t, uint8_t

from zcloop._native.kernel.flag cimport flag

cdef enum:
    # Bytes that a small slot would have held with room to spare: half of its 16 KiB.
    SMALL_READ_MAX = 8 * 1024
    # Bytes of a direct receive from which more may have come meanwhile: with less, the next poll
    # costs no more than a receive in vain.
    READ_AGAIN_MIN = 32 * 1024
    # Direct receives in a row, of up to 256 KiB: others are kept waiting for no more than 2 MiB.
    READS_MAX = 8
    # Polls after which nothing is read again, once that was in vain.
    VAIN_READ_POLLS = 3
    # One full slot may be all of a message; bulk after it gained nothing (1.00 to 1.04 of the CPU).
    FULL_SLOTS_TO_BULK = 2
    # A multishot receive saves a system call a message, and a change of ways costs a few.
    SMALL_READS_TO_RING = 16
    # 2 MiB, and nothing was written meanwhile: nobody waits for an answer.
    FULL_READS_TO_FLOOD = 8

cdef enum Way:
    RING                    # a multishot receive into small slots
    FLOOD                   # a multishot receive into large slots
    BULK                    # a poll, and direct receives
    OVERFLOW                # the same, of a flood for which slots are lacking
    WAYS                    # how many there are

cdef enum Sign:             # what a stream sees that may change its way
    SLOTS_FILLED            # FULL_SLOTS_TO_BULK in a row
    ALL_SMALL               # SMALL_READS_TO_RING in a row, of SMALL_READ_MAX at most
    POURED_IN               # FULL_READS_TO_FLOOD in a row, and nothing was written meanwhile
    ANSWERED                # something was written, while it pours in
    FELL_BEHIND             # the protocol holds more leases than its quota
    BROUGHT_MUCH            # no slot was free, and the direct receive brought READ_AGAIN_MIN
    NO_SLOTS                # there is no ring to receive into
    NO_LARGE_SLOTS          # there is no ring of large ones
    SIGNS                   # how many there are

cdef struct StreamPace:     # 8 bytes, as there is one for each connection
    uint16_t read_size      # bytes of the last direct receive, up to READ_AGAIN_MIN
    uint8_t way             # a Way
    uint8_t full_slots      # slots in a row that came filled
    uint8_t small_reads     # receives in a row that a small slot would have held
    uint8_t full_reads      # direct receives in a row that filled their block, since a write
    uint8_t polls_to_skip   # polls after which nothing is read again
    flag is_starved         # no slot was free: this once it is received directly


cdef void follow(StreamPace *pace, Sign sign) noexcept
cdef bint note_full_slot(StreamPace *pace) noexcept
cdef bint note_large_slot(StreamPace *pace, size_t size) noexcept
cdef bint note_read(StreamPace *pace, size_t size) noexcept
cdef bint note_block(StreamPace *pace, bint is_full) noexcept
cdef bint reads_again(StreamPace *pace, bint is_extra) noexcept
cdef bint skips_poll(StreamPace *pace) noexcept
cdef void end_starving(StreamPace *pace) noexcept

cdef inline bint is_direct(StreamPace *pace) noexcept:
    """Whether it is received directly, on a poll, and not into slots."""
    return pace.way >= BULK or pace.is_starved

cdef inline bint is_flooded(StreamPace *pace) noexcept:
    return pace.way == FLOOD or pace.way == OVERFLOW

cdef inline bint note_slot(StreamPace *pace, size_t size, size_t slot_size) noexcept:
    """A message came in a small slot; whether the way has changed."""
    if size == slot_size:
        return note_full_slot(pace)
    pace.full_slots = 0
    return False

cdef inline void note_write(StreamPace *pace) noexcept:
    """Something was written, which who sends may have waited for."""
    pace.full_reads = 0


@cython.final
cdef class PaceOfTest:
    cdef StreamPace pace
