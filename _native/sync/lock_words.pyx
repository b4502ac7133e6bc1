"""A lock that many read or one writes: a mutex for writers, and a count of readers per process.

    offset 0   the mutex: held by the writer, also while it waits for readers to go
          24   how many readers wait
          28   turn: changes when the mutex becomes free; waiting readers sleep on it
          32   departures: changes when a reader goes; the mutex's holder sleeps on it
          40   64 words, one for a process: 0, or identity | count of its readers << 48

A reader counts itself, and then looks whether the mutex is free. A writer acquires the mutex, and
then looks whether the counts are 0. If both come at once, at least one sees the other. So readers
wait as soon as a writer has the mutex, and come in when no writer has it. The counts know their
processes, so that those of a dead process can be dropped: it only read, so nothing needs repair. A
process is found dead in the same way as the holder of a mutex.
"""

from libc.errno cimport EAGAIN, EMFILE
from libc.stdint cimport uint32_t

from zcloop._native.kernel.errors cimport EOWNERDEAD
from zcloop._native.kernel.futex cimport (
    EVERYBODY, add32, futex_wake, load32, load64, swap64,
)
from zcloop._native.sync.mutex_words cimport MutexWords
from zcloop._native.sync.words cimport READ_WRITE_LOCK, Kind

# Each has a word in the memory. An acquire, a release and a look walk over all of them: 512 bytes.
cdef int PROCESSES = 64
cdef uint64_t READER = <uint64_t> 1 << 48
cdef uint64_t IDENTITY_MASK = READER - 1
cdef uint64_t READERS_MASK = ~IDENTITY_MASK
cdef uint64_t LEFT = <uint64_t> 1 << 31
PROCESSES_MAX = PROCESSES
SIZE = 40 + 8 * PROCESSES       # bytes
cdef size_t SIZE_OF_LOCK = SIZE


cdef class LockWords(MutexWords):
    cdef Kind kind(self) noexcept nogil:
        return READ_WRITE_LOCK

    cdef size_t size(self) noexcept nogil:
        return SIZE_OF_LOCK

    cdef int set_pointers(self) except -1:
        MutexWords.set_pointers(self)
        self.waiting_readers = <uint32_t *> (self.start + 24)
        self.reader_turn = <uint32_t *> (self.start + 28)
        self.departures = <uint32_t *> (self.start + 32)
        self.readers = <uint64_t *> (self.start + 40)
        return 0

    @property
    def readers_count(self):
        """How many read now, in all processes."""
        cdef int index
        self.check_open()
        return sum([load64(&self.readers[index]) >> 48 for index in range(PROCESSES)])

    def _release_read(self):
        self.check_open()
        if self.depart() < 0:
            raise RuntimeError(f"{self.name()} is not acquired for reading by this process")

    cdef int enter(self) noexcept nogil:
        """Acquire for reading: 0, or -EAGAIN; -EOWNERDEAD when a writer died, which only a writer
        can repair; -EMFILE when all the words are other processes'."""
        cdef uint64_t *mine
        cdef uint64_t seen = self.who()
        if seen:
            return -EOWNERDEAD if seen == LEFT else -EAGAIN
        mine = self.place()
        if mine == NULL:
            return -EMFILE
        seen = self.who()
        if seen == 0:
            return 0
        self.depart()
        return -EOWNERDEAD if seen == LEFT else -EAGAIN

    cdef int depart(self) noexcept nogil:
        """One reader of this process goes; -1 when there is none."""
        cdef uint64_t seen
        cdef int index
        for index in range(PROCESSES):
            seen = load64(&self.readers[index])
            while seen & IDENTITY_MASK == self.me() and seen & READERS_MASK:
                if swap64(&self.readers[index], &seen, seen - READER):
                    if self.who():
                        add32(self.departures, 1)
                        futex_wake(self.departures, EVERYBODY)
                    return 0
        return -1

    cdef uint64_t *place(self) noexcept nogil:
        """Count one more reader of this process; NULL when there is no place for it."""
        cdef uint64_t seen
        cdef int index
        for index in range(PROCESSES):
            seen = load64(&self.readers[index])
            while seen & IDENTITY_MASK == self.me() and seen & READERS_MASK != READERS_MASK:
                if swap64(&self.readers[index], &seen, seen + READER):
                    return &self.readers[index]
        for index in range(PROCESSES):
            if self.claim(&self.readers[index], False):
                return &self.readers[index]
        for index in range(PROCESSES):
            if self.claim(&self.readers[index], True):
                return &self.readers[index]
        return NULL

    cdef bint claim(self, uint64_t *place, bint from_the_dead) noexcept nogil:
        cdef uint64_t seen = load64(place)
        if seen and not (from_the_dead and self.has_died(seen & IDENTITY_MASK)):
            return False
        return swap64(place, &seen, self.me() | READER)

    cdef bint is_empty(self) noexcept nogil:
        cdef int index
        for index in range(PROCESSES):
            if load64(&self.readers[index]) & READERS_MASK:
                return False
        return True

    cdef bint forget_dead_readers(self) noexcept nogil:
        cdef uint64_t seen
        cdef bint was_there = False
        cdef int index
        for index in range(PROCESSES):
            seen = load64(&self.readers[index])
            if seen & READERS_MASK and self.has_died(seen & IDENTITY_MASK):
                was_there |= swap64(&self.readers[index], &seen, 0)
        if was_there:
            add32(self.departures, 1)
            futex_wake(self.departures, EVERYBODY)
        return was_there

    cdef void wake_readers(self) noexcept nogil:
        if load32(self.waiting_readers):
            add32(self.reader_turn, 1)
            futex_wake(self.reader_turn, EVERYBODY)

    cdef void wake(self) noexcept nogil:
        MutexWords.wake(self)
        self.wake_readers()

    cdef bint heal(self) noexcept:
        cdef bint was_dead = MutexWords.heal(self)
        return self.forget_dead_readers() or was_dead
