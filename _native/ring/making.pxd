# Which ring there is here: the kernel's, or one over epoll.

from zcloop._native.ring.ring cimport Ring

cdef Ring make_ring(object backend, unsigned entries, unsigned cq_entries, bint is_shared)
