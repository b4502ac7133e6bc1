# eventfd(2): a descriptor to be woken by.

cdef extern from "<sys/eventfd.h>" nogil:
    int eventfd(unsigned initial, int flags)
    enum:
        EFD_CLOEXEC
        EFD_NONBLOCK
