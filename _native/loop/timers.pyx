"""The timers of a loop: a binary heap in which each handle knows its place.

A cancelled timer leaves at once (asyncio marks it and sweeps later), so that a program that arms
and cancels a time-out per request holds no dead ones. Timers of one deadline run in the order in
which they were made. Nothing here makes a system call: the next deadline becomes the time-out of
the turn's one wait.
"""

cimport cython
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdlib cimport free, realloc


@cython.no_gc
cdef class TimerHandle(Handle):
    def cancel(self):
        """Never run it; its place in the heap is free at once. Idempotent."""
        if not self.is_cancelled:
            if self.index >= 0:
                (<TimerHeap> self.heap).remove(self)
            self.drop()

    def when(self):
        """The deadline, on the loop's clock (`loop.time()`, seconds)."""
        return self.deadline

    @property
    def _when(self):
        return self.deadline

    @property
    def _scheduled(self):
        return self.index >= 0

    def _repr_info(self):
        info = Handle._repr_info(self)
        info.insert(2 if self.is_cancelled else 1, f"when={self.deadline}")
        return info

    def __hash__(self):
        return hash(self.deadline)

    def __eq__(self, other):
        if not isinstance(other, TimerHandle):
            return NotImplemented
        if self.callback == NULL and not self.is_cancelled:
            return self is other        # it has run, and what it called is forgotten
        return (self.deadline == (<TimerHandle> other).deadline
                and self._callback == other._callback and self._args == other._args
                and self.is_cancelled == (<TimerHandle> other).is_cancelled)

    def __lt__(self, other):
        if isinstance(other, TimerHandle):
            return self.deadline < (<TimerHandle> other).deadline
        return NotImplemented

    def __le__(self, other):
        if isinstance(other, TimerHandle):
            return self.deadline < (<TimerHandle> other).deadline or self == other
        return NotImplemented

    def __gt__(self, other):
        if isinstance(other, TimerHandle):
            return self.deadline > (<TimerHandle> other).deadline
        return NotImplemented

    def __ge__(self, other):
        if isinstance(other, TimerHandle):
            return self.deadline > (<TimerHandle> other).deadline or self == other
        return NotImplemented


cdef class TimerHeap:
    def __dealloc__(self):
        self.clear()
        free(self.entries)

    cdef TimerHandle add(self, double when, object callback, tuple args, object loop,
                         object context, Contexts contexts):
        cdef TimerHandle handle = TimerHandle.__new__(TimerHandle)
        cdef Entry entry
        cdef void *grown
        handle.set(callback, args, loop, context, contexts)
        handle.deadline = when
        handle.heap = <PyObject *> self
        handle.index = -1
        if self.count == self.capacity:
            grown = realloc(self.entries, (self.capacity * 2 + 64) * sizeof(Entry))
            if grown == NULL:
                raise MemoryError("timers")
            self.entries = <Entry *> grown
            self.capacity = self.capacity * 2 + 64
        self.sequence += 1
        entry.when = when
        entry.sequence = self.sequence
        entry.handle = <PyObject *> handle
        Py_INCREF(handle)
        self.count += 1
        self.place(self.count - 1, entry)
        self.sift_up(self.count - 1)
        return handle

    cdef int remove(self, TimerHandle handle) except -1:
        cdef Py_ssize_t index = handle.index
        cdef Entry last
        handle.index = -1
        self.count -= 1
        if index != self.count:
            last = self.entries[self.count]
            self.place(index, last)
            self.sift_up(index)
            self.sift_down((<TimerHandle> last.handle).index)
        Py_DECREF(handle)
        return 0

    cdef TimerHandle pop(self):
        cdef TimerHandle handle = <TimerHandle> self.entries[0].handle
        self.remove(handle)
        return handle

    cdef int clear(self) except -1:
        cdef TimerHandle handle
        while self.count:
            handle = <TimerHandle> self.entries[self.count - 1].handle
            self.remove(handle)
            handle.clear()
        return 0

    cdef inline void place(self, Py_ssize_t index, Entry entry) noexcept:
        self.entries[index] = entry
        (<TimerHandle> entry.handle).index = index

    cdef void sift_up(self, Py_ssize_t index) noexcept:
        cdef Entry entry = self.entries[index]
        cdef Entry parent
        cdef Py_ssize_t above
        while index > 0:
            above = (index - 1) >> 1
            parent = self.entries[above]
            if not precedes(&entry, &parent):
                break
            self.place(index, parent)
            index = above
        self.place(index, entry)

    cdef void sift_down(self, Py_ssize_t index) noexcept:
        cdef Entry entry = self.entries[index]
        cdef Py_ssize_t child
        while True:
            child = 2 * index + 1
            if child >= self.count:
                break
            if child + 1 < self.count and precedes(&self.entries[child + 1],
                                                   &self.entries[child]):
                child += 1
            if not precedes(&self.entries[child], &entry):
                break
            self.place(index, self.entries[child])
            index = child
        self.place(index, entry)


cdef inline bint precedes(Entry *one, Entry *other) noexcept:
    if one.when != other.when:
        return one.when < other.when
    return one.sequence < other.sequence
