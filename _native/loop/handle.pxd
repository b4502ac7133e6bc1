cimport cython
from cpython.object cimport PyObject, PyTypeObject

from zcloop._native.kernel.cpython cimport Py_REFCNT, Py_TYPE, has_weak_references
from zcloop._native.kernel.flag cimport flag
from zcloop._native.loop.contexts cimport Contexts


# Said here, too, for those who derive from it.
@cython.no_gc
cdef class Handle:
    # One owned call; `run` consumes it. What is owned is NULL once consumed, or at its end.
    cdef PyObject *callback
    cdef PyObject *args         # a tuple
    cdef PyObject *context
    cdef PyObject *loop         # borrowed: who queues it outlives that
    cdef public object _source_traceback
    cdef flag is_cancelled
    cdef flag is_snapshot       # the context, which others may have: not to be entered
    cdef flag is_queued         # a repeated one, in the ready queue
    cdef flag is_repeated       # a reader or writer: run again and again, cleared by its owner
    cdef flag is_whole          # the deadline was given as an int, and is told as one
    # Of a TimerHandle. It and a ThreadSafeHandle are of this size, so that all come from one
    # freelist.
    cdef double deadline
    cdef Py_ssize_t index       # its place in the heap, -1 outside
    cdef PyObject *heap         # borrowed: index is -1 once it is gone
    cdef object __weakref__

    cdef inline bint is_as_new(self) noexcept:
        """After `run_once`, of who holds the one reference but its own: whether it can be `set`
        again, since nobody else has it, nor a weak reference."""
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
