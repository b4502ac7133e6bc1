"""How a stream receives, which it chooses by what came before.

    ring     a multishot receive into the loop's shared slots of 16 KiB: one completion a message,
             no system call of its own. Every stream begins here, and small messages stay here
    bulk     a one-shot poll, then a receive of up to 256 KiB straight into memory of the message's
             own, and more at once while a busy sender keeps filling the socket
    flood    lent memory only: a multishot receive into a few slots of 64 KiB. Receives of the
             turn's pace leave the socket's buffer full and its data cold; this one empties it at
             each enter
    overflow as bulk, of a flood for which the large slots do not suffice

No cost is compared: which way is the cheaper one is known from benchmarks, and depends on what
comes. So what a stream sees of that is a sign, and a sign leads from one way to another:

    sign             ring     flood      bulk     overflow
    slots filled     bulk     overflow   -        -
    all small        -        ring       ring     flood
    poured in        flood    -          flood    flood
    answered         -        bulk       -        bulk
    fell behind      -        bulk       -        bulk
    brought much     bulk     overflow   -        -
    no slots         bulk     overflow   -        -
    no large slots   -        ring       -        -

Without a free slot it is received directly once. Then the way stays, unless that brought much.

Only to receive once more at once, in bulk, is tried: after one such receive in vain the next three
polls do not try it.

A stream has the struct by value, and the few lines that a message costs are in the header. Nothing
here knows of sockets, and tests/unit/pacing/test_stream_pace.py checks each cell of the table.
"""

cimport cython

# The way that a sign leads to: NEXT[way][sign].
cdef uint8_t[WAYS][SIGNS] NEXT = [
    # filled   small  poured  answered behind much      none      no large
    [BULK,     RING,  FLOOD,  RING,    RING,  BULK,     BULK,     RING],        # from the ring
    [OVERFLOW, RING,  FLOOD,  BULK,    BULK,  OVERFLOW, OVERFLOW, RING],        # from a flood
    [BULK,     RING,  FLOOD,  BULK,    BULK,  BULK,     BULK,     BULK],        # from bulk
    [OVERFLOW, FLOOD, FLOOD,  BULK,    BULK,  OVERFLOW, OVERFLOW, OVERFLOW],    # from an overflow
]


cdef void follow(StreamPace *pace, Sign sign) noexcept:
    """Go the way that this sign leads to; a new way counts anew."""
    cdef uint8_t way = NEXT[pace.way][<int> sign]
    if sign == POURED_IN:
        pace.is_starved = False     # that it brought much, too, says nothing new
    elif sign == FELL_BEHIND:
        pace.full_reads = 0         # blocks from before the pause and after it are not in a row
    if way == pace.way:
        return
    pace.way = way
    pace.full_slots = pace.small_reads = 0
    if way == RING or sign == SLOTS_FILLED:
        pace.full_reads = 0     # not in a flood, where 0 says that something was written


cdef bint note_full_slot(StreamPace *pace) noexcept:
    """A message filled its small slot; whether the way has changed."""
    if pace.full_slots < FULL_SLOTS_TO_BULK:
        pace.full_slots += 1
    if pace.full_slots < FULL_SLOTS_TO_BULK or is_direct(pace):
        return False
    follow(pace, SLOTS_FILLED)
    return True


cdef bint note_large_slot(StreamPace *pace, size_t size) noexcept:
    """A message came in a large slot; whether the way has changed."""
    pace.small_reads = pace.small_reads + 1 if size <= SMALL_READ_MAX else 0
    if pace.full_reads == 0:
        follow(pace, ANSWERED)
        return True
    if pace.small_reads < SMALL_READS_TO_RING:
        return False
    follow(pace, ALL_SMALL)
    return True


cdef bint note_read(StreamPace *pace, size_t size) noexcept:
    """So much was received directly; whether all was small for some time, and a ring is better."""
    pace.read_size = <uint16_t> (size if size < READ_AGAIN_MIN else READ_AGAIN_MIN)
    if size > SMALL_READ_MAX:
        pace.small_reads = 0
        return False
    if pace.small_reads < SMALL_READS_TO_RING:
        pace.small_reads += 1
    return pace.small_reads >= SMALL_READS_TO_RING


cdef bint note_block(StreamPace *pace, bint is_full) noexcept:
    """A block to be lent was received into; whether so many were filled that it is a flood."""
    if not is_full:
        pace.full_reads = 0
    elif pace.full_reads < FULL_READS_TO_FLOOD:
        pace.full_reads += 1
    return pace.full_reads == FULL_READS_TO_FLOOD


cdef bint reads_again(StreamPace *pace, bint is_extra) noexcept:
    """Whether the last direct receive brought so much that there may be more by now.

    After an extra receive that found nothing, the next VAIN_READ_POLLS polls do not try again.
    """
    if pace.read_size >= READ_AGAIN_MIN:
        return True
    if is_extra and pace.read_size == 0:
        pace.polls_to_skip = VAIN_READ_POLLS
    return False


cdef bint skips_poll(StreamPace *pace) noexcept:
    """Whether this poll is one after which nothing is read again, since that was in vain."""
    if pace.polls_to_skip == 0:
        return False
    pace.polls_to_skip -= 1
    return True


cdef void end_starving(StreamPace *pace) noexcept:
    """The direct receive for want of a slot is over: what brought much goes on so."""
    if pace.is_starved and pace.read_size >= READ_AGAIN_MIN:
        follow(pace, BROUGHT_MUCH)
    pace.is_starved = False


# ---- for tests -------------------------------------------------------------------------------

# As the table of this module names them, in the order of the enums.
_WAYS = ("ring", "flood", "bulk", "overflow")
_SIGNS = ("slots filled", "all small", "poured in", "answered", "fell behind", "brought much",
          "no slots", "no large slots")


@cython.final
cdef class PaceOfTest:
    """A pace that a test drives; a stream has the struct alone."""

    def __init__(self, str way):
        self.pace.way = _WAYS.index(way)

    @property
    def way(self):
        """"ring", "flood", "bulk" or "overflow"."""
        return _WAYS[self.pace.way]

    def follow(self, str sign):
        """Give it this sign, by its name in the table; returns the way that it then goes."""
        follow(&self.pace, <Sign> <int> _SIGNS.index(sign))
        return self.way

    def note_slot(self, size_t size, size_t slot_size):
        return note_slot(&self.pace, size, slot_size)

    def note_large_slot(self, size_t size):
        return note_large_slot(&self.pace, size)

    def note_read(self, size_t size):
        return note_read(&self.pace, size)

    def note_block(self, bint is_full):
        return note_block(&self.pace, is_full)

    def note_write(self):
        note_write(&self.pace)

    def reads_again(self, bint is_extra):
        return reads_again(&self.pace, is_extra)

    def skips_poll(self):
        return skips_poll(&self.pace)

    def lack_slots(self):
        self.pace.is_starved = True

    def end_starving(self):
        end_starving(&self.pace)

    def is_direct(self):
        return is_direct(&self.pace)
