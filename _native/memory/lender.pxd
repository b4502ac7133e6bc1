from zcloop._native.memory.account cimport Account
from zcloop._native.memory.buffer_ring cimport BufferRing
from zcloop._native.memory.pool cimport Pool
from zcloop._native.memory.region cimport Lease


cdef class Lender:
    cdef Pool pool
    cdef readonly list regions      # the associated ones; if there are any, the pool lends nothing
    cdef readonly Account account
    cdef public size_t copybreak    # bytes up to which a payload is copied

    cdef Lease take(self, size_t size, int use)
    cdef Lease take_some(self, size_t size)
    cdef object lend_slot(self, BufferRing ring, unsigned slot, size_t offset, size_t size)
    cdef object starve(self, const char *data, size_t size)
    cdef object lend(self, Lease lease, size_t size)
    cdef object copy(self, const char *data, size_t size)
