"""Wait until a word of memory is woken, and then acquire what it stands for.

Others may acquire the thing at any time, so the wait only says when an attempt is worth while, and
the asker makes the attempt:

    submitted    watch: enlist as a waiter (once), and look at which value to sleep
    completed    acquire: it is ours (leave the waiters), or NOT_YET (submitted again)
    discarded    leave the waiters, and pass on the wake-up that was perhaps ours

`Words` has these steps for each kind of thing. A subclass of this class replaces some where the
words alone do not know enough (`acquire`, `await_barrier`). An operation leaves the waiters however
it ends, also if nobody sees its end. Only a forked child does not leave: its copy of an operation
is the parent's.

Since Linux 6.7 the ring itself waits. For a ring that cannot, `use_thread` makes the operation poll
the eventfd of a thread, and so does the kernel's refusal. An operation that was refused stays among
the waiters meanwhile: to leave and to enlist again would cost its place at a barrier.

Without a ring, `block` does all of it in the calling thread.
"""

cimport cython

from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EAGAIN, EBADF, EINTR, EINVAL, ENOMEM, ETIMEDOUT
from posix.unistd cimport getpid

from zcloop._native.kernel.clock cimport monotonic
from zcloop._native.kernel.errors cimport EOPNOTSUPP
from zcloop._native.kernel.futex cimport FUTEX2_SIZE_U32, FUTEX_BITSET_MATCH_ANY, futex_wait
from zcloop._native.kernel.poll cimport POLLIN
from zcloop._native.kernel.sealed cimport seal
from zcloop._native.kernel.uring cimport OP_FUTEX_WAIT, OP_POLL_ADD, io_uring_sqe
from zcloop._native.operation.operation cimport HEAL_MS, NOT_YET as _NOT_YET
from zcloop._native.sync.futex_thread cimport make_futex_thread

# For Python: HEAL_MS in seconds, and NOT_YET.
HEAL_SECONDS = HEAL_MS / 1e3
NOT_YET = _NOT_YET
# A longer timeout is cut to these 30 years, which a timespec holds.
cdef double TIMEOUT_MAX_S = 1e9


@cython.no_gc_clear     # __dealloc__ needs the words
cdef class FutexWait(Operation):
    def __dealloc__(self):
        if self.words is not None:
            self.discard(0, 0)

    # ---- what each thing says ------------------------------------------------------------------

    cdef Sleep look(self) noexcept:
        return self.words.look()

    cdef int acquire(self) noexcept:
        return self.words.acquire()

    cdef bint is_contended(self) noexcept:
        return self.words.is_contended()

    cdef void enlist(self) noexcept:
        self.words.enlist()

    cdef void leave(self) noexcept:
        self.words.leave()

    cdef void pass_on(self) noexcept:
        self.words.pass_on()

    # ---- on a ring -----------------------------------------------------------------------------

    cdef void prepare(self, io_uring_sqe *sqe) noexcept:
        self.watch()
        if self.thread is not None:
            self.thread.begin(self.target)
            sqe.opcode = OP_POLL_ADD
            sqe.fd = self.thread.fd
            sqe.poll32_events = POLLIN
            return
        sqe.opcode = OP_FUTEX_WAIT
        sqe.fd = FUTEX2_SIZE_U32
        sqe.addr = <size_t> self.target.word
        sqe.off = self.target.expected
        sqe.addr3 = FUTEX_BITSET_MATCH_ANY

    cdef int attempt(self) noexcept:
        return self.acquire() if self.words.start != NULL else -EBADF

    cdef int settle(self, int result) noexcept:
        cdef int got
        if self.thread is not None:
            got = self.thread.end()
            if result >= 0:         # the poll has ended: what counts is what the thread says
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

    # ---- shared --------------------------------------------------------------------------------

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
        if self.words.start == NULL or not self.words.is_robust:
            return False        # to look costs a call and two files of /proc
        self.words.heal()
        return True

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
            # There is nothing to wait for: the wait ends at once, and `settle` says -EBADF.
            self.target.word, self.target.expected = &self.nothing, ~self.nothing
            return
        if self.enlisted_by == 0:
            self.enlisted_by = getpid()
            self.words.users += 1       # it keeps the words open
            self.enlist()
        self.target = self.look()

    cdef bint withdraw(self) noexcept:
        """Leave the waiters. False: it was not among them, or is another process's."""
        cdef int who = self.enlisted_by
        if self.thread is not None:
            self.thread.end()           # the thread reads the word
        self.enlisted_by = 0
        if who == 0:
            return False
        self.words.users -= 1
        if who != getpid():
            return False
        self.leave()
        return True

    # ---- without a ring ------------------------------------------------------------------------

    def begin(self, bint is_polite=True):
        """Acquire it now, if polite only when nobody waits: a result, or NOT_YET.

        `is_late` says afterwards that others were waiting already. They have to be given a turn of
        the loop before the wait begins.
        """
        cdef int got = -EAGAIN
        self.words.check_open()
        self.is_late = is_polite and self.is_contended()
        if self.is_late:
            self.watch()
        else:
            got = self.acquire()
        if got == -EAGAIN:
            return _NOT_YET
        self.withdraw()
        return got

    def end(self):
        """Nobody wants it any more. Idempotent."""
        self.discard(0, 0)

    def heal(self):
        """Undo what a process left that died holding it; nothing once closed.

        Whether such a process can be: then this is to be called every HEAL_SECONDS while the
        operation waits.
        """
        return self.heal_words()

    def block(self, timeout=None):
        """Acquire it, and sleep without the GIL until it can be: a result, or -errno, -ETIMEDOUT
        after `timeout` seconds. What a signal handler raises is raised, and nothing was acquired.
        """
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
        cdef bint is_robust = self.heal_words()
        self.watch()
        if not is_robust and self.words.start != NULL:
            self.words.heal()   # of private memory: a forked child has its parent's holder in it
        if not is_robust or 0 <= deadline < until:
            until = deadline
        with nogil:
            got = futex_wait(self.target.word, self.target.expected, until)
        return -EAGAIN if got == -ETIMEDOUT else got


seal(FutexWait)
