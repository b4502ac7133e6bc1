"""Arrive at a barrier, and wait for the others: the result is the place among them, or -EPIPE
when the barrier is broken or reset. To arrive once is enough, however often it is submitted."""

cimport cython

from libc.errno cimport EAGAIN
from libc.stdint cimport uint32_t

from zcloop._native.kernel.futex cimport load32
from zcloop._native.sync.barrier_words cimport BarrierWords
from zcloop._native.sync.futex_wait cimport FutexWait


@cython.no_gc_clear     # as its base
cdef class AwaitBarrier(FutexWait):
    cdef uint32_t round_
    cdef int place

    def __cinit__(self, BarrierWords words not None):
        self.use(words)
        self.place = -EAGAIN

    cdef void look(self) noexcept:
        self.word = (<BarrierWords> self.words).word
        self.expected = self.round_
        if self.place < 0:
            self.expected = ~load32(self.word)      # broken on arrival

    cdef int take(self) noexcept:
        self.watch()
        if self.place < 0:
            return self.place
        return (<BarrierWords> self.words).passed(self.round_, self.place)

    cdef void enlist(self) noexcept:
        self.place = (<BarrierWords> self.words).arrive(&self.round_)

    cdef void leave(self) noexcept:
        if self.place >= 0:
            (<BarrierWords> self.words).depart(self.round_)
