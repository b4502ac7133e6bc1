from zcloop._native.kernel.calling_thread cimport Call, Work
from zcloop._native.operation.poll cimport Poll


cdef class BlockingCall(Poll):
    cdef Call call
    cdef int pid            # whose thread it is: a forked child has none
    cdef int failed         # no thread could be started: -errno
    cdef bint is_running    # a thread was started, and its answer not taken

    cdef void use(self, Work work, void *argument) noexcept
    cdef int begin(self) noexcept
    cdef int answer(self) noexcept
    cdef bint sleep(self, object deadline) except -1
    cdef void let_go(self) noexcept
    cdef int take(self, int result) noexcept        # what the call's answer means, as settle
    cdef void undo(self, int result) noexcept       # the call was done, and nobody wants it
