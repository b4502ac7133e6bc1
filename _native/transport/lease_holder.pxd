from libc.stdint cimport uint8_t

from zcloop._native.kernel.flag cimport flag
from zcloop._native.memory.lender cimport Lender
from zcloop._native.operation.send_zero_copy cimport SendZeroCopy
from zcloop._native.transport.protocol_holder cimport ProtocolHolder

cdef enum ZeroCopyMode:
    ZERO_COPY_UNDECIDED     # until something of a lease is written
    ZERO_COPY_AUTO          # as long as the kernel does not copy
    ZERO_COPY_ALWAYS
    ZERO_COPY_NEVER


cdef class LeaseHolder(ProtocolHolder):
    cdef readonly Lender lender         # None until something is lent or reserved
    cdef SendZeroCopy zero_copy_send    # in flight: its result has not come yet
    cdef size_t zero_copy_min           # bytes from which a lease is sent without a copy
    cdef uint8_t zero_copy_mode         # a ZeroCopyMode
    cdef flag is_blocked                # nothing is sent now: no room, or a send is in flight
    cdef flag is_lost                   # connection_lost was called; the fd is closed

    cpdef Lender ensure_lender(self)
    cdef int disown_account(self) noexcept
    cdef int choose_zero_copy(self, size_t threshold, bint leaves_machine) except -1
    cdef SendZeroCopy make_zero_copy(self, object lease, const char *data, size_t size)
    cdef int submit_zero_copy(self, SendZeroCopy operation) except -1
    cdef bint is_zero_copy_result_final(self, int result) except -1
    cdef int notified(self, SendZeroCopy operation, bint is_copied) except -1

    # Bring the operations that read in line with what is wanted, after any change of either.
    cdef int update_reading(self) except -1
