"""A callback that the loop owes: asyncio.Handle, native.

Not tracked by the garbage collector, so that a busy loop does not drive collections: a handle's
references end when it has run, is cancelled, or its loop is closed, whichever is first. It does
not hold its loop, so that a loop that is dropped with callbacks pending can still be collected
(unless one of them holds it).
"""

cimport cython
from cpython.object cimport PyObject

from asyncio import format_helpers

cdef extern from "Python.h":
    object PyContext_CopyCurrent()
    int PyContext_Enter(object context)
    int PyContext_Exit(object context)
    PyObject *PyObject_Vectorcall(object callable, PyObject **args, size_t count, PyObject *names)
    Py_ssize_t PyTuple_GET_SIZE(object args)
    void Py_DECREF(PyObject *)

cdef extern from *:
    """
    #define zc_tuple_items(t) (((PyTupleObject *)(t))->ob_item)
    """
    PyObject **zc_tuple_items(tuple args)


cdef Handle make_handle(object callback, tuple args, object loop, object context):
    cdef Handle handle = Handle.__new__(Handle)
    handle._callback = callback
    handle._args = args
    handle.loop = <PyObject *> loop
    handle._context = PyContext_CopyCurrent() if context is None else context
    return handle


cdef int _reraise() except -1:
    return -1       # the error indicator is set


@cython.no_gc
@cython.freelist(512)
cdef class Handle:
    cdef int run(self) except -1:
        """Call it in its context. Errors go to the loop's exception handler, except
        SystemExit and KeyboardInterrupt, which are raised."""
        cdef PyObject *result
        cdef tuple args = self._args
        cdef object callback = self._callback
        cdef object context = self._context
        cdef PyObject *loop = self.loop         # it may cancel its own handle
        if self._cancelled or callback is None:
            return 0
        if PyContext_Enter(context) < 0:
            # Entered already, or no context at all.
            return self.report(<object> loop, callback, args)
        result = PyObject_Vectorcall(callback, zc_tuple_items(args), PyTuple_GET_SIZE(args), NULL)
        PyContext_Exit(context)
        if result == NULL:
            return self.report(<object> loop, callback, args)
        Py_DECREF(result)
        return 0

    cdef int report(self, object loop, object callback, tuple args) except -1:
        try:
            _reraise()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            source = format_helpers._format_callback_source(callback, args)
            context = {
                "message": f"Exception in callback {source}",
                "exception": exc,
                "handle": self,
            }
            if self._source_traceback:
                context["source_traceback"] = self._source_traceback
            loop.call_exception_handler(context)
        return 0

    cdef void clear(self) noexcept:
        """After the run, or at the loop's end: let go of what the call holds."""
        self._callback = None
        self._args = None
        self._context = None
        self.loop = NULL

    @property
    def _loop(self):
        return <object> self.loop if self.loop != NULL else None

    def _run(self):
        self.run()

    def cancel(self):
        """Never run it. Idempotent."""
        if not self._cancelled:
            self._cancelled = True
            # The context too: it is often the last link of a cycle that nobody could collect.
            self.clear()

    def cancelled(self):
        return self._cancelled

    def get_context(self):
        return self._context

    def _repr_info(self):
        info = [self.__class__.__name__]
        if self._cancelled:
            info.append("cancelled")
        if self._callback is not None:
            info.append(format_helpers._format_callback_source(self._callback, self._args))
        if self._source_traceback:
            frame = self._source_traceback[len(self._source_traceback) - 1]
            info.append(f"created at {frame[0]}:{frame[1]}")
        return info

    def __repr__(self):
        return "<{}>".format(" ".join(self._repr_info()))
