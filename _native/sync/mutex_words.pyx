"""A mutex that knows which process holds it, so that others can tell when that has died.

    offset 0   kind, and the home: whose namespaces the identities are told in (sync/process)
           8   holder: 0, or LEFT (free, and its last holder died), or HELD | identity
          16   how many wait
          20   (unused)

The holder is one 64-bit word, so there is no moment in which the mutex is held by nobody in
particular. A waiter that finds by `heal` that the holder is dead makes the mutex LEFT and wakes one
waiter; whoever acquires it then is told (-EOWNERDEAD). Nobody can tell the death of a holder that
is not of the home, or that has no /proc: others wait for it for ever.

Rejected: the kernel's robust list, which does this at once. There is one per thread, and it is
glibc's.
"""

from libc.errno cimport EAGAIN

from zcloop._native.kernel.errors cimport EOWNERDEAD
from zcloop._native.kernel.futex cimport (
    add32, futex_wake, load32, load64, low_half, store64, swap64,
)
from zcloop._native.sync.process cimport (
    IDENTITY_BITS, PID_BITS, is_dead, own_identity, own_namespaces,
)
from zcloop._native.sync.words cimport MUTEX, Sleep

# The holder's word has the identity's pid, then two flags, and from bit 32 on the rest of the
# identity. So its low half, on which waiters sleep, differs between free and held.
cdef uint64_t PID_MASK = (1 << PID_BITS) - 1
cdef uint64_t REST_MASK = (1 << (IDENTITY_BITS - PID_BITS)) - 1
cdef uint64_t LEFT = <uint64_t> 1 << 31
SIZE = 24       # bytes
cdef size_t SIZE_OF_MUTEX = SIZE


cdef uint64_t holder_word(uint64_t identity) noexcept nogil:
    return HELD | identity & PID_MASK | (identity >> PID_BITS) << 32


cdef uint64_t identity_in(uint64_t holder) noexcept nogil:
    return holder & PID_MASK | (holder >> 32 & REST_MASK) << PID_BITS


cdef class MutexWords(Words):
    def _create(self, buffer, Py_ssize_t offset):
        self.create(buffer, offset, self.size(), self.kind())
        self.set_pointers()
        self.publish(self.kind(), own_namespaces())

    def _attach(self, buffer, Py_ssize_t offset):
        self.attach_to(buffer, offset, self.size(), self.kind())
        self.set_pointers()

    cdef int set_pointers(self) except -1:
        self.holder = <uint64_t *> (self.start + 8)
        self.word = low_half(self.holder)
        self.waiters = <uint32_t *> (self.start + 16)
        self.is_robust = self.is_shared
        return 0

    cdef Kind kind(self) noexcept nogil:
        return MUTEX

    cdef size_t size(self) noexcept nogil:
        return SIZE_OF_MUTEX

    @property
    def holder_pid(self):
        """The process that holds it now, or None; another may take it at any time."""
        self.check_open()
        cdef uint64_t seen = load64(self.holder)
        return seen & PID_MASK if seen & HELD else None

    @property
    def waiting(self):
        """How many wait now, in all processes; one that died waiting is still counted."""
        self.check_open()
        return load32(self.waiters)

    def _release(self, bint is_left=False):
        self.check_open()
        self.check_mine()
        self.release(is_left)

    cdef int check_mine(self) except -1:
        cdef uint64_t seen = load64(self.holder)
        if not seen & HELD:
            raise RuntimeError(f"{self.name()} is not acquired")
        if identity_in(seen) != self.me():
            raise RuntimeError(f"{self.name()} is held by process {seen & PID_MASK}: only that "
                               "one can release it")
        return 0

    cdef uint64_t me(self) noexcept nogil:
        """The identity by which this process signs here."""
        return own_identity(self.parameter())

    cdef bint has_died(self, uint64_t identity) noexcept nogil:
        return is_dead(identity, self.parameter())

    cdef uint64_t who(self) noexcept nogil:
        """The holder's word: 0 when it is free."""
        return load64(self.holder)

    cdef void release(self, bint is_left_by_the_dead) noexcept nogil:
        """With `is_left_by_the_dead` whoever acquires it next is told so."""
        store64(self.holder, LEFT if is_left_by_the_dead else 0)
        self.wake()

    cdef void wake(self) noexcept nogil:
        """The mutex is free: wake a waiter."""
        if load32(self.waiters):
            futex_wake(self.word, 1)

    # ---- acquiring -----------------------------------------------------------------------------

    cdef Sleep look(self) noexcept nogil:
        cdef uint64_t seen = self.who()
        cdef Sleep target
        target.word = self.word
        # Nobody sleeps for a free one: the kernel finds another value than this, and says so.
        target.expected = <uint32_t> seen if seen & HELD else ~<uint32_t> seen
        return target

    cdef int acquire(self) noexcept nogil:
        cdef uint64_t seen = load64(self.holder)
        while not seen & HELD:
            if swap64(self.holder, &seen, holder_word(self.me())):
                return -EOWNERDEAD if seen & LEFT else 0
        return -EAGAIN

    cdef bint is_contended(self) noexcept nogil:
        return load32(self.waiters) != 0

    cdef void enlist(self) noexcept nogil:
        add32(self.waiters, 1)

    cdef void leave(self) noexcept nogil:
        add32(self.waiters, <uint32_t> -1)

    cdef void pass_on(self) noexcept nogil:
        if not load64(self.holder) & HELD:
            self.wake()

    cdef bint heal(self) noexcept:
        cdef uint64_t seen = load64(self.holder)
        if not seen & HELD:
            # The waiter that was woken may have been killed before it acquired it.
            self.wake()
            return False
        if not self.has_died(identity_in(seen)) or not swap64(self.holder, &seen, LEFT):
            return False
        self.wake()
        return True
