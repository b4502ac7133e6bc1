cimport cython
from cpython.object cimport PyObject, PyTypeObject

from zcloop._native.kernel.cpython cimport Py_REFCNT, Py_TYPE, has_weak_references
from zcloop._native.kernel.flag cimport flag
from zcloop._native.loop.contexts cimport Contexts


# Repeated from the .pyx for modules that derive from it: they read this file alone.
@cython.no_gc
cdef class Handle:
    # One call, whose parts the handle owns until `run_once` or `clear`; then they are NULL.
    cdef PyObject *callback
    cdef PyObject *args         # a tuple
    cdef PyObject *context
    cdef PyObject *loop         # borrowed: the loop outlives what it has queued
    cdef public object _source_traceback
    cdef flag is_cancelled
    cdef flag is_snapshot       # others may have the context, too: it must not be entered
    cdef flag is_queued         # it is repeated, and in the ready queue
    cdef flag is_repeated       # it is a reader's or writer's: its Watch clears it, not the run
    cdef flag is_whole          # the deadline was given as an int, and is shown as one
    # For a TimerHandle. It and a ThreadSafeHandle have no fields of their own, so that all three
    # come from one freelist.
    cdef double deadline
    cdef Py_ssize_t index       # where it is in the heap, -1 outside
    cdef PyObject *heap         # borrowed: `index` is -1 once the heap is gone
    cdef object __weakref__

    cdef inline bint is_as_new(self) noexcept:
        """Whether the caller alone has it, so that it can be `set` again. For after `run_once`."""
        return (Py_REFCNT(self) == 1 and Py_TYPE(self) == <PyTypeObject *> Handle
                and not self.is_cancelled and self.callback == NULL
                and not has_weak_references(self)
                and self._source_traceback is None)

    cdef int run(self) except -1
    cdef int run_once(self, Contexts contexts) except -1
    cdef int report(self, object callback, object args, PyObject *loop) except -1
    cdef int set(self, object callback, tuple args, object loop, object context,
                 Contexts contexts) except -1
    cdef void drop(self) noexcept
    cdef void clear(self) noexcept
    cdef PyObject *own_context(self) except? NULL

cdef Handle make_handle(object callback, tuple args, object loop, object context,
                        Contexts contexts)
