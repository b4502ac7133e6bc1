from zcloop._native.kernel.calling_thread cimport Call, Work
from zcloop._native.operation.poll cimport Poll


cdef class BlockingCall(Poll):
    cdef Call call
    cdef int pid            # the process whose thread it is: a forked child has none
    cdef int failed         # -errno: no thread could be started
    cdef bint is_running    # a thread was started, and not joined

    cdef void use(self, Work work, void *argument) noexcept
    cdef int begin(self) noexcept
    cdef int answer(self) noexcept
    cdef bint sleep(self, object deadline) except -1
    cdef void let_go(self) noexcept
    cdef int settle_answer(self, int answer) noexcept   # what the call's answer means, as `settle`
    cdef void undo(self, int result) noexcept           # nobody wants what the call has done
