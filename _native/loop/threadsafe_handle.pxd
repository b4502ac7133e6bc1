from zcloop._native.loop.contexts cimport Contexts
from zcloop._native.loop.handle cimport Handle


cdef class ThreadSafeHandle(Handle):
    # It has no fields of its own, and uses those of a timer. `index` is the thread that runs it
    # now, or 0. `heap` (owned) is a lock that is held until the run is over, once somebody waits.
    cdef int begin(self) noexcept
    cdef int end(self) except -1
    cdef int await_end(self) except -1

cdef ThreadSafeHandle make_threadsafe_handle(object callback, tuple args, object loop,
                                             object context, Contexts contexts)
