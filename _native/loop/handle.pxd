from cpython.object cimport PyObject


cdef class Handle:
    # One owned call; `run` consumes it. What is owned is NULL once consumed, or at its end.
    cdef PyObject *callback
    cdef PyObject *args         # a tuple
    cdef PyObject *context
    cdef PyObject *loop         # borrowed: who queues it outlives that
    cdef public object _source_traceback
    cdef readonly bint _cancelled
    cdef bint is_hidden         # the context, from the garbage collector
    cdef bint is_queued         # a repeated one, in the ready queue
    cdef bint is_repeated       # a reader or writer: run again and again, cleared by its owner
    cdef object __weakref__

    cdef int run(self) except -1
    cdef int run_once(self) except -1
    cdef int report(self, object callback, object args, PyObject *loop) except -1
    cdef int set(self, object callback, tuple args, object loop, object context) except -1
    cdef void clear(self) noexcept
    cdef void hide_context(self) noexcept
    cdef PyObject *shown_context(self) noexcept

cdef Handle make_handle(object callback, tuple args, object loop, object context)
