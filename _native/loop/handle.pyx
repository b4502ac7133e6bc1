"""A callback that the loop owes: asyncio.Handle, native.

The garbage collector does not track handles, so that a busy loop does not drive collections. A
handle's references end when it has run, when it is cancelled, or when its loop is closed, whichever
comes first. It does not hold its loop, so that a loop that is dropped with callbacks pending can
still be collected, unless one of the callbacks holds it.
"""

cimport cython
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF

from asyncio import format_helpers

from zcloop._native.kernel.cpython cimport (
    enter_context, leave_context, reraise, zc_call, zc_decref, zc_incref, zc_xdecref,
)
from zcloop._native.kernel.sealed cimport seal
from zcloop._native.loop.contexts cimport private_copy


cdef Handle make_handle(object callback, tuple args, object loop, object context,
                        Contexts contexts):
    cdef Handle handle = Handle.__new__(Handle)
    handle.set(callback, args, loop, context, contexts)
    return handle


cdef inline object owned(PyObject *thing):
    return <object> thing if thing != NULL else None


@cython.no_gc
@cython.freelist(512)
cdef class Handle:
    def __dealloc__(self):
        self.clear()

    cdef int set(self, object callback, tuple args, object loop, object context,
                 Contexts contexts) except -1:
        """Initialise a new or recycled handle. A context of None is a copy of the current one."""
        if context is None:
            self.context = contexts.snapshot()
            self.is_snapshot = True
        else:
            Py_INCREF(context)
            self.context = <PyObject *> context
            self.is_snapshot = False
        Py_INCREF(callback)
        self.callback = <PyObject *> callback
        Py_INCREF(args)
        self.args = <PyObject *> args
        self.loop = <PyObject *> loop
        return 0

    cdef PyObject *own_context(self) except? NULL:
        """The context, made private to this handle, to be shown or entered. Borrowed."""
        cdef PyObject *snapshot = self.context
        cdef PyObject *copy
        if self.is_snapshot and snapshot != NULL:
            copy = private_copy(snapshot)
            if self.context == snapshot:
                self.context = copy
                self.is_snapshot = False
                zc_decref(snapshot)
            else:
                zc_decref(copy)         # the handle was cancelled while the copy was made
        return self.context

    cdef int run(self) except -1:
        """Make the call in its context, and keep what it calls for the next run.

        Errors go to the loop's exception handler, but for SystemExit and KeyboardInterrupt, which
        are raised.
        """
        cdef object callback, args, context
        cdef PyObject *loop = self.loop
        cdef PyObject *result = NULL
        self.own_context()
        if self.callback == NULL:
            return 0
        # Held here, since the callback may cancel its own handle.
        callback = <object> self.callback
        args = <object> self.args
        context = <object> self.context
        if enter_context(<PyObject *> context) == 0:
            result = zc_call(<PyObject *> callback, <PyObject *> args)
            leave_context(<PyObject *> context)
        if result == NULL:      # by the callback, or by a context that cannot be entered
            return self.report(callback, args, loop)
        zc_decref(result)
        return 0

    cdef int run_once(self, Contexts contexts) except -1:
        """Make the call as `run` does, and let go of what it calls: there is no next run."""
        cdef PyObject *callback = self.callback
        cdef PyObject *args = self.args
        cdef PyObject *context = self.context
        cdef PyObject *entered = NULL
        cdef PyObject *loop = self.loop
        cdef PyObject *result = NULL
        if callback == NULL:
            return 0
        self.callback = self.args = self.context = self.loop = NULL
        if self.is_snapshot:
            entered = contexts.enterable(context)
        else:
            entered = context
            zc_incref(entered)
        if entered != NULL and enter_context(entered) == 0:
            result = zc_call(callback, args)
            leave_context(entered)
        zc_xdecref(entered)
        if result == NULL:
            # Put back for whoever reads the handle that is reported, or runs it again.
            self.callback, self.args, self.context = callback, args, context
            self.loop = loop
            try:
                self.report(<object> callback, <object> args, loop)
            finally:
                self.clear()
            return 0
        zc_decref(result)
        zc_decref(callback)
        zc_decref(args)
        zc_decref(context)
        return 0

    cdef int report(self, object callback, object args, PyObject *loop) except -1:
        try:
            reraise()
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
            (<object> loop).call_exception_handler(context)
        return 0

    cdef void clear(self) noexcept:
        """Let go of what the call holds: after the run, or at the loop's end."""
        cdef PyObject *callback = self.callback
        cdef PyObject *args = self.args
        cdef PyObject *context = self.context
        self.callback = self.args = self.context = self.loop = NULL
        Py_XDECREF(callback)
        Py_XDECREF(args)
        Py_XDECREF(context)

    @property
    def _callback(self):
        return owned(self.callback)

    @property
    def _args(self):
        return owned(self.args)

    @property
    def _context(self):
        return owned(self.own_context())

    @property
    def _cancelled(self):
        return self.is_cancelled

    @property
    def _loop(self):
        return owned(self.loop)

    def _run(self):
        self.run()

    def cancel(self):
        """Never run it. Idempotent. Not thread-safe."""
        self.drop()

    cdef void drop(self) noexcept:
        if not self.is_cancelled:
            self.is_cancelled = True
            # The context goes too: it often is the last link of a cycle that nobody could collect.
            self.clear()

    def cancelled(self):
        """Whether it was cancelled."""
        return self.is_cancelled

    def get_context(self):
        """The context that the callback runs in. None once the handle has run or was cancelled."""
        return owned(self.own_context())

    def _repr_info(self):
        info = [self.__class__.__name__]
        if self.is_cancelled:
            info.append("cancelled")
        if self.callback != NULL:
            info.append(format_helpers._format_callback_source(self._callback, self._args))
        if self._source_traceback:
            frame = self._source_traceback[len(self._source_traceback) - 1]
            info.append(f"created at {frame[0]}:{frame[1]}")
        return info

    def __repr__(self):
        return "<{}>".format(" ".join(self._repr_info()))


seal(Handle)
