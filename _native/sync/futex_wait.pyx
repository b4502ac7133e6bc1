"""Wait until a word of memory is woken, and then take what it stands for.

What is waited for may be taken by others at any time, so the wait only says when it is worth an
attempt, and the attempt is made by who asked:

    submitted    look: enlist as a waiter (once), and note the value at which to sleep
    completed    take: it is ours (leave the waiters), or NOT_YET (submitted again)
    discarded    leave the waiters, and pass on the wake-up that was perhaps ours

A class of its own for each thing says what those steps are. An operation leaves the waiters in
whatever way it ends, its end unseen included; only a forked child does not, which has a copy of
an operation that is the parent's.

The ring waits itself since Linux 6.7. For one that cannot, `use_thread` makes the operation one
that polls the eventfd of a thread; a kernel's refusal does that, too. Who has been refused stays
among the waiters meanwhile: to leave and to come again would cost a place at a barrier.

Without a ring, `block` is all of it in the calling thread.
"""

cimport cython

from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EAGAIN, EBADF, EINTR, EINVAL, ENOMEM, ETIMEDOUT
from posix.unistd cimport getpid

from zcloop._native.kernel.errors cimport EOPNOTSUPP
from zcloop._native.kernel.clock cimport monotonic
from zcloop._native.kernel.poll cimport POLLIN
from zcloop._native.kernel.futex cimport FUTEX2_SIZE_U32, FUTEX_BITSET_MATCH_ANY, futex_wait
from zcloop._native.kernel.sealed cimport seal
from zcloop._native.kernel.uring cimport OP_FUTEX_WAIT, OP_POLL_ADD, io_uring_sqe
from zcloop._native.sync.futex_thread cimport make_futex_thread
from zcloop._native.operation.operation cimport HEAL_MS, NOT_YET as _NOT_YET

HEAL_SECONDS = HEAL_MS / 1e3
NOT_YET = _NOT_YET
cdef double TIMEOUT_MAX_S = 1e9


@cython.no_gc_clear     # __dealloc__ needs the words
cdef class FutexWait(Operation):
    def __dealloc__(self):
        if self.words is not None:
            self.discard(0, 0)

    # ---- what each thing says ----------------------------------------------------------------

    cdef void look(self) noexcept:
        """Set `word` and `expected` to what there is to wait for now."""

    cdef int take(self) noexcept:
        """Not negative: it is ours. -EAGAIN: it is not; another -errno: it never will be."""
        return -EAGAIN

    cdef bint is_contended(self) noexcept:
        """Whether others wait already, who come first."""
        return False

    cdef void enlist(self) noexcept:
        """Be counted among the waiters."""

    cdef void leave(self) noexcept:
        """Be counted no more."""

    cdef void pass_on(self) noexcept:
        """Wake another waiter if there is something to take."""

    # ---- on a ring ---------------------------------------------------------------------------

    cdef void prepare(self, io_uring_sqe *sqe) noexcept:
        self.watch()
        if self.thread is not None:
            self.thread.begin(self.word, self.expected)
            sqe.opcode = OP_POLL_ADD
            sqe.fd = self.thread.fd
            sqe.poll32_events = POLLIN
            return
        sqe.opcode = OP_FUTEX_WAIT
        sqe.fd = FUTEX2_SIZE_U32
        sqe.addr = <size_t> self.word
        sqe.off = self.expected
        sqe.addr3 = FUTEX_BITSET_MATCH_ANY

    cdef int attempt(self) noexcept:
        return self.take() if self.words.start != NULL else -EBADF

    cdef int settle(self, int result) noexcept:
        cdef int got
        if self.thread is not None:
            got = self.thread.end()
            if result >= 0:         # of the poll: what the thread has to say
                result = got
        elif result == -EINVAL or result == -EOPNOTSUPP:
            result = self.refused()
        if result != 0 and result != -EAGAIN and result != -EINTR:
            self.discard(result, 0)
            return result
        got = self.attempt()
        if got == -EAGAIN:
            return _NOT_YET
        self.withdraw()
        return got

    cdef void discard(self, int result, uint32_t flags) noexcept:
        if self.withdraw():
            self.pass_on()

    # ---- shared ------------------------------------------------------------------------------

    cdef int use(self, Words words) except -1:
        words.check_open()
        self.words = words
        self.is_word_wait = True
        return 0

    cdef int use_thread(self) except -1:
        if self.thread is None:
            self.thread = make_futex_thread()
        return 0

    cdef bint heal_words(self) noexcept:
        self.heal()
        return self.words.is_robust

    cdef int refused(self) noexcept:
        """The kernel does not know the request: -EAGAIN, to go on with a thread, or -errno."""
        self.is_refused = True
        try:
            self.use_thread()
        except OSError as error:
            return -error.errno
        except MemoryError:
            return -ENOMEM
        return -EAGAIN

    cdef void watch(self) noexcept:
        if self.words.start == NULL:
            self.word, self.expected = &self.nothing, ~self.nothing     # no wait: `settle` tells
            return
        if self.enlisted_by == 0:
            self.enlisted_by = getpid()
            self.words.users += 1       # which keeps them open
            self.enlist()
        self.look()

    cdef bint withdraw(self) noexcept:
        """Leave the waiters; False for one that was not among them, or is another process's."""
        cdef int who = self.enlisted_by
        if self.thread is not None:
            self.thread.end()           # which reads the word
        self.enlisted_by = 0
        if who == 0:
            return False
        self.words.users -= 1
        if who != getpid():
            return False
        self.leave()
        return True

    # ---- without a ring ----------------------------------------------------------------------

    def begin(self, bint is_polite=True):
        """Take it now, if polite only when nobody waits: a result, or NOT_YET.

        With `is_late` others were there before, and have to be given a turn of the loop.
        """
        cdef int got = -EAGAIN
        self.words.check_open()
        self.is_late = is_polite and self.is_contended()
        if self.is_late:
            self.watch()
        else:
            got = self.take()
        if got == -EAGAIN:
            return _NOT_YET
        self.withdraw()
        return got

    def finish(self, int result):
        """What a completion with this result comes to: a result, -errno, or NOT_YET."""
        return self.settle(result)

    def end(self):
        """Nobody wants it any more. Idempotent."""
        self.discard(0, 0)

    @property
    def is_robust(self):
        """Whether `heal` has something to do: to be called every HEAL_SECONDS while waiting."""
        return self.words.is_robust

    def heal(self):
        """Undo what a process that died left; whether there was something. Nothing once closed."""
        return self.words.start != NULL and self.words.heal()

    def block(self, timeout=None):
        """Take it, sleeping without the GIL: a result, or -errno; -ETIMEDOUT after `timeout`
        seconds. What a signal handler raises comes through, with nothing taken."""
        cdef double deadline = -1
        if timeout is not None:
            deadline = monotonic() + min(max(<double> timeout, 0), TIMEOUT_MAX_S)
        got = self.begin()
        try:
            while got == _NOT_YET:
                if 0 <= deadline <= monotonic():
                    self.discard(0, 0)
                    return -ETIMEDOUT
                got = self.settle(self.sleep(deadline))
                if got == _NOT_YET:
                    PyErr_CheckSignals()
        except BaseException:
            self.discard(0, 0)
            raise
        return got

    cdef int sleep(self, double deadline) except? -2:
        cdef double until = monotonic() + HEAL_MS / 1e3
        cdef int got
        self.words.heal()
        self.watch()
        if not self.words.is_robust or 0 <= deadline < until:
            until = deadline
        with nogil:
            got = futex_wait(self.word, self.expected, until)
        return -EAGAIN if got == -ETIMEDOUT else got


seal(FutexWait)
