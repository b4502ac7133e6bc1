"""What call_soon_threadsafe returns since Python 3.14: cancel() waits for a run that has begun.

A thread that has cancelled such a handle knows that the callback is not running any more, unless it
is the thread that runs it. asyncio's handle takes a lock for each run; this one has a lock only
while somebody waits.
"""

import threading

cimport cython
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF

from zcloop._native.kernel.cpython cimport PyThread_get_thread_ident
from zcloop._native.kernel.sealed cimport seal


cdef ThreadSafeHandle make_threadsafe_handle(object callback, tuple args, object loop,
                                             object context, Contexts contexts):
    cdef ThreadSafeHandle handle = ThreadSafeHandle.__new__(ThreadSafeHandle)
    handle.set(callback, args, loop, context, contexts)
    return handle


@cython.final
@cython.no_gc
cdef class ThreadSafeHandle(Handle):
    def __dealloc__(self):
        Py_XDECREF(self.heap)

    cdef int begin(self) noexcept:
        self.index = PyThread_get_thread_ident()
        return 0

    cdef int end(self) except -1:
        cdef PyObject *run_over = self.heap
        self.index = 0
        self.heap = NULL
        if run_over != NULL:
            lock = <object> run_over
            Py_XDECREF(run_over)
            lock.release()
        return 0

    cdef int run(self) except -1:
        self.begin()
        try:
            return Handle.run(self)
        finally:
            self.end()

    cdef int run_once(self, Contexts contexts) except -1:
        self.begin()
        try:
            return Handle.run_once(self, contexts)
        finally:
            self.end()

    cdef int await_end(self) except -1:
        """Return when no other thread runs it."""
        while self.index != 0 and self.index != <Py_ssize_t> PyThread_get_thread_ident():
            if self.heap == NULL:
                # Other code may run here, since making a lock may start a garbage collection.
                run_over = threading.Lock()
                run_over.acquire()
                if self.index == 0 or self.heap != NULL:
                    continue
                Py_INCREF(run_over)
                self.heap = <PyObject *> run_over
            run_over = <object> self.heap
            with run_over:      # released at once, so that others that wait get it, too
                pass
        return 0

    def cancel(self):
        """Never run it, or wait until it has run. Idempotent and thread-safe."""
        self.drop()
        self.await_end()

    def cancelled(self):
        """Whether it will never run. While it runs, the answer waits for the end. Thread-safe."""
        self.await_end()
        return self.is_cancelled


seal(ThreadSafeHandle)
