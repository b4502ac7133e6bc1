"""Arrive at a barrier, and wait for the others.

The result is the place among them, or -EPIPE when the barrier is broken or reset. The operation
arrives once, however often it is submitted.
"""

cimport cython

from libc.errno cimport EAGAIN
from libc.stdint cimport uint32_t

from zcloop._native.sync.barrier_words cimport BarrierWords
from zcloop._native.sync.futex_wait cimport FutexWait
from zcloop._native.sync.words cimport Sleep


@cython.no_gc_clear     # as its base
cdef class AwaitBarrier(FutexWait):
    cdef uint32_t round_
    cdef int place          # among those who arrived; -EAGAIN before arriving, -EPIPE: broken then

    def __cinit__(self, BarrierWords words not None):
        self.use(words)
        self.place = -EAGAIN

    cdef Sleep look(self) noexcept:
        cdef Sleep target
        if self.place < 0:
            return self.words.look()        # which is no sleep
        target.word = (<BarrierWords> self.words).word
        target.expected = self.round_
        return target

    cdef int acquire(self) noexcept:
        self.watch()
        if self.place < 0:
            return self.place
        return (<BarrierWords> self.words).passed(self.round_, self.place)

    cdef void enlist(self) noexcept:
        self.place = (<BarrierWords> self.words).arrive(&self.round_)

    cdef void leave(self) noexcept:
        if self.place >= 0:
            (<BarrierWords> self.words).depart(self.round_)
