# The few functions taken from C liburing, and the struct they fill.

from libc.stdint cimport uint8_t

from zcloop._native.kernel.liburing cimport zc_uring
from zcloop._native.kernel.uring cimport io_uring_cqe, io_uring_params, io_uring_sqe

ctypedef struct Functions:
    # Each returns a count or fd, or -errno; none touches errno or Python.
    int (*queue_init_params)(unsigned entries, zc_uring *ring, io_uring_params *p) noexcept nogil
    void (*queue_exit)(zc_uring *ring) noexcept nogil
    int (*enter2)(unsigned fd, unsigned to_submit, unsigned min_complete, unsigned flags,
                  void *arg, size_t size) noexcept nogil
    int (*register_)(unsigned fd, unsigned opcode, const void *arg, unsigned count) noexcept nogil
    int (*dontfork)(zc_uring *ring) noexcept nogil

cdef Functions liburing
