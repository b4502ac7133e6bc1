"""What call_soon_threadsafe returns since Python 3.14: cancel() waits for a run that has begun.

A thread that has cancelled such a handle knows that the callback is not running any more, unless
it is the thread that runs it. asyncio's takes a lock for each run; this one has a lock only while
somebody waits.
"""

import threading

cimport cython

cdef extern from "Python.h":
    unsigned long PyThread_get_thread_ident()


cdef ThreadSafeHandle make_threadsafe_handle(object callback, tuple args, object loop,
                                             object context, Contexts contexts):
    cdef ThreadSafeHandle handle = ThreadSafeHandle.__new__(ThreadSafeHandle)
    handle.set(callback, args, loop, context, contexts)
    return handle


@cython.final
@cython.no_gc
cdef class ThreadSafeHandle(Handle):
    cdef int begin(self) noexcept:
        self.runner = PyThread_get_thread_ident()
        return 0

    cdef int end(self) except -1:
        run_over = self.run_over
        self.runner = 0
        self.run_over = None
        if run_over is not None:
            run_over.release()
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
        while self.runner != 0 and self.runner != PyThread_get_thread_ident():
            if self.run_over is None:
                run_over = threading.Lock()     # others may run meanwhile: a garbage collection
                run_over.acquire()
                if self.runner == 0 or self.run_over is not None:
                    continue
                self.run_over = run_over
            with self.run_over:     # which the others that wait get after us
                pass
        return 0

    def cancel(self):
        """Never run it, or wait until it has run. Idempotent and thread-safe."""
        self.drop()
        self.await_end()

    def cancelled(self):
        """Whether it will never run; of one that runs, when it has. Thread-safe."""
        self.await_end()
        return self.is_cancelled
