"""A semaphore: one 64-bit word, with the same meaning and the same steps as glibc's sem_t.

    offset 0   kind, maximum
           8   value, and from bit 32 on how many wait

A waiter is counted before it waits, in the word that a release changes. So either the release
sees the waiter and wakes the word, or the wait sees the new value and does not begin. The count of
a waiter that died stays; it costs each release a needless system call, and nothing else.
"""

from libc.errno cimport EAGAIN
from libc.stdint cimport INT32_MAX

from zcloop._native.kernel.futex cimport add64, futex_wake, load64, low_half, swap64
from zcloop._native.sync.words cimport SEMAPHORE, Sleep

cdef uint64_t WAITER = <uint64_t> 1 << 32     # one more who waits
cdef uint64_t VALUE_MASK = WAITER - 1         # the bits of the value
SIZE = 16               # bytes
VALUE_MAX = INT32_MAX   # SEM_VALUE_MAX of glibc


cdef class SemaphoreWords(Words):
    def _create(self, value, maximum, buffer, Py_ssize_t offset):
        if not 0 < maximum <= VALUE_MAX:
            raise ValueError(f"a maximum of {maximum}: it must be from 1 to {VALUE_MAX}")
        if not 0 <= value <= maximum:
            raise ValueError(f"a value of {value}: it must be from 0 to the maximum, {maximum}")
        self.create(buffer, offset, SIZE, SEMAPHORE)
        self.set_pointers(self.start + 8)
        self.data[0] = <uint64_t> value
        self.publish(SEMAPHORE, maximum)

    def _attach(self, buffer, Py_ssize_t offset):
        self.attach_to(buffer, offset, SIZE, SEMAPHORE)
        self.set_pointers(self.start + 8)

    cdef int set_pointers(self, void *data) except -1:
        self.data = <uint64_t *> data
        self.word = low_half(self.data)
        return 0

    @property
    def maximum(self):
        """How many tokens there can be: a release beyond it is a ValueError."""
        self.check_open()
        return self.parameter()

    @property
    def value(self):
        """How many tokens are free now; another process may take them at any time."""
        self.check_open()
        return load64(self.data) & VALUE_MASK

    @property
    def waiting(self):
        """How many wait now, in all processes; one that died waiting is still counted."""
        self.check_open()
        return load64(self.data) >> 32

    def try_acquire(self):
        """Acquire a token if one is free, ahead of all who wait; whether it did. Thread-safe."""
        self.check_open()
        return self.acquire() == 0

    def release(self, int count=1):
        """Give `count` tokens back and wake as many who wait. Thread-safe, and from any process.

        ValueError when the value would exceed the maximum; nothing is given back then.
        """
        cdef uint64_t seen, waiters
        self.check_open()
        if count < 1:
            raise ValueError(f"{count} tokens: at least one must be given back")
        seen = load64(self.data)
        while True:
            if (seen & VALUE_MASK) + <uint64_t> count > self.limit():
                raise ValueError(f"Semaphore released too many times: its value is "
                                 f"{seen & VALUE_MASK}, its maximum {self.limit()}")
            if swap64(self.data, &seen, seen + <uint64_t> count):
                break
        waiters = seen >> 32
        if waiters:
            futex_wake(self.word, <int> min(waiters, <uint64_t> count))

    cdef uint64_t limit(self) noexcept:
        return self.parameter()

    # ---- acquiring -----------------------------------------------------------------------------

    cdef Sleep look(self) noexcept nogil:
        cdef Sleep target
        target.word = self.word
        target.expected = 0
        return target

    cdef int acquire(self) noexcept nogil:
        cdef uint64_t seen = load64(self.data)
        while seen & VALUE_MASK:
            if swap64(self.data, &seen, seen - 1):
                return 0
        return -EAGAIN

    cdef bint is_contended(self) noexcept nogil:
        return load64(self.data) >> 32 != 0

    cdef void enlist(self) noexcept nogil:
        add64(self.data, WAITER)

    cdef void leave(self) noexcept nogil:
        add64(self.data, -WAITER)

    cdef void pass_on(self) noexcept nogil:
        cdef uint64_t seen = load64(self.data)
        if seen & VALUE_MASK and seen >> 32:
            futex_wake(self.word, 1)
