from libc.stdint cimport uint64_t
from cpython.object cimport PyObject

from zcloop._native.loop.contexts cimport Contexts
from zcloop._native.loop.handle cimport Handle

cdef struct Entry:
    double when
    uint64_t sequence
    PyObject *handle        # owned; NULL once cancelled


cdef class TimerHandle(Handle):
    pass


cdef class TimerHeap:
    cdef Entry *entries
    cdef Py_ssize_t count       # timers that are not cancelled
    cdef Py_ssize_t size        # entries of the heap in use, those of cancelled timers included
    cdef Py_ssize_t capacity
    cdef uint64_t sequence      # of the last timer that was added

    cdef TimerHandle add(self, double when, object callback, tuple args, object loop,
                         object context, Contexts contexts)
    cdef int remove(self, TimerHandle handle) except -1
    cdef TimerHandle pop(self)
    cdef void remove_first(self) noexcept
    cdef void sweep(self) noexcept
    cdef int clear(self) except -1
    cdef void sift_up(self, Py_ssize_t index) noexcept
    cdef void sift_down(self, Py_ssize_t index) noexcept
    cdef void place(self, Py_ssize_t index, Entry entry) noexcept

    cdef inline double first(self) noexcept:
        """The next deadline. Only while there are timers."""
        while self.entries[0].handle == NULL:
            self.remove_first()
        return self.entries[0].when
