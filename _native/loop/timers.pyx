"""The timers of a loop: a binary heap in which each handle knows its place.

A cancelled timer is freed at once, where asyncio keeps it until a sweep. So a program that arms and
cancels a time-out for each request holds no dead ones. Its entry in the heap, 24 bytes, stays until
it comes to the top, or until a cancellation finds that such entries are more than half of the heap.
Timers of one deadline run in the order in which they were made. Nothing here makes a system call:
the next deadline becomes the time-out of the turn's one wait.
"""

cimport cython
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdlib cimport free, realloc

from zcloop._native.kernel.sealed cimport seal

# A heap with this many entries of cancelled timers, 1.5 KiB, is not worth a sweep.
cdef Py_ssize_t DEAD_MIN = 64
cdef Py_ssize_t GROWTH = 64     # entries by which the heap grows, besides doubling


@cython.no_gc
cdef class TimerHandle(Handle):
    def cancel(self):
        """Never run it. Idempotent."""
        if not self.is_cancelled:
            if self.index >= 0:
                (<TimerHeap> self.heap).remove(self)
            self.drop()

    def when(self):
        """The deadline, on the loop's clock (`loop.time()`, seconds)."""
        return int(self.deadline) if self.is_whole else self.deadline

    @property
    def _when(self):
        return self.when()

    @property
    def _scheduled(self):
        return self.index >= 0

    def _repr_info(self):
        info = Handle._repr_info(self)
        info.insert(2 if self.is_cancelled else 1, f"when={self.when()}")
        return info

    def __hash__(self):
        return hash(self.deadline)

    def __eq__(self, other):
        if not isinstance(other, TimerHandle):
            return NotImplemented
        if self.callback == NULL and not self.is_cancelled:
            return self is other        # it has run, and has forgotten what it called
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
        if self.size == self.capacity:
            grown = realloc(self.entries, (self.capacity * 2 + GROWTH) * sizeof(Entry))
            if grown == NULL:
                raise MemoryError("timers")
            self.entries = <Entry *> grown
            self.capacity = self.capacity * 2 + GROWTH
        self.sequence += 1
        entry.when = when
        entry.sequence = self.sequence
        entry.handle = <PyObject *> handle
        Py_INCREF(handle)
        self.count += 1
        self.size += 1
        self.entries[self.size - 1] = entry
        self.sift_up(self.size - 1)
        return handle

    cdef int remove(self, TimerHandle handle) except -1:
        """Take out a cancelled timer. Its entry stays: moving others into its place can wait."""
        self.entries[handle.index].handle = NULL
        handle.index = -1
        self.count -= 1
        if self.count == 0:
            self.size = 0
        elif self.size - self.count > DEAD_MIN and self.size > 2 * self.count:
            self.sweep()
        Py_DECREF(handle)
        return 0

    cdef TimerHandle pop(self):
        """Take out the next timer. To be called after `first`, which drops cancelled ones."""
        cdef TimerHandle handle = <TimerHandle> self.entries[0].handle
        Py_DECREF(handle)       # the heap's reference; the variable has another
        handle.index = -1
        self.count -= 1
        self.remove_first()
        return handle

    cdef void remove_first(self) noexcept:
        self.size -= 1
        if self.size:
            self.entries[0] = self.entries[self.size]
            self.sift_down(0)

    cdef void sweep(self) noexcept:
        """Drop the entries of cancelled timers, and make a heap of the others again."""
        cdef Py_ssize_t index
        cdef Py_ssize_t kept = 0
        for index in range(self.size):
            if self.entries[index].handle != NULL:
                self.place(kept, self.entries[index])
                kept += 1
        self.size = kept
        for index in range(kept // 2 - 1, -1, -1):
            self.sift_down(index)

    cdef int clear(self) except -1:
        cdef TimerHandle handle
        while self.count:
            self.first()
            handle = self.pop()
            handle.clear()
        return 0

    cdef inline void place(self, Py_ssize_t index, Entry entry) noexcept:
        self.entries[index] = entry
        if entry.handle != NULL:
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
            if child >= self.size:
                break
            if child + 1 < self.size and precedes(&self.entries[child + 1],
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


seal(TimerHandle)
