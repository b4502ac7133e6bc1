from cpython.object cimport PyObject


cdef class Handle:
    # One owned call; `_run` consumes it. The names with an underscore are asyncio.Handle's own,
    # which tracebacks, debuggers and the interpreter's cold paths read.
    cdef readonly object _callback
    cdef readonly tuple _args
    cdef readonly object _context
    cdef PyObject *loop         # borrowed: who queues it outlives that; NULL once cleared
    cdef public object _source_traceback
    cdef readonly bint _cancelled
    cdef bint is_queued         # a repeated one, in the ready queue
    cdef bint is_repeated       # a reader or writer: run again and again, cleared by its owner
    cdef object __weakref__

    cdef int run(self) except -1
    cdef int report(self, object loop, object callback, tuple args) except -1
    cdef void clear(self) noexcept

cdef Handle make_handle(object callback, tuple args, object loop, object context)
