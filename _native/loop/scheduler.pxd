from cpython.object cimport PyObject

from zcloop._native.loop.contexts cimport Contexts
from zcloop._native.loop.handle cimport Handle
from zcloop._native.loop.ready cimport ReadyQueue
from zcloop._native.loop.timers cimport TimerHeap
from zcloop._native.operation.operation cimport Owner


cdef enum:
    # Handles kept to be used again, some 8 KiB. Where a turn needs more, they are made.
    SPARE_HANDLES_MAX = 64


cdef class Scheduler(Owner):
    cdef ReadyQueue ready
    cdef TimerHeap timers
    cdef readonly Contexts contexts
    cdef public bint does_cancel_wait       # cancel() of a call_soon_threadsafe waits for its run
    # asyncio.BaseEventLoop's own names: its cold paths read and write them.
    cdef public bint _stopping
    cdef public bint _closed
    cdef public bint _debug
    cdef public object _thread_id
    cdef public object _task_factory
    cdef public double _clock_resolution    # seconds
    cdef PyObject *spare_handles[SPARE_HANDLES_MAX]     # owned; `set` makes each a new one
    cdef size_t spare_count
    # {"loop": self} while the loop runs: the keywords that futures are made with, so that no dict
    # is made for each. None between two runs, so that the loop is in no cycle.
    cdef dict for_self
    cdef object __weakref__

    cdef inline int check_open(self) except -1:
        if self._closed:
            raise RuntimeError("Event loop is closed")
        return 0

    cdef object new_future(self)
    cdef int run_ready(self) except -1
    cdef int run_timed(self, Handle handle) except -1
    cdef int expire_timers(self) except -1
    cdef double time_of_debug(self) noexcept
    cdef int log_if_slow(self, double start, object protocol, object name) except -1
    cdef int check_usable(self) except -1
    cdef int wake(self) except -1
    cdef Handle call(self, object callback, tuple args, object context)
    cdef Handle post(self, object callback, tuple args, object context)
    cdef object schedule(self, double when, object callback, tuple args, object context, str name)
