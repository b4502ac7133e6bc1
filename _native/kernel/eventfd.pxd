# eventfd(2): a descriptor that one thread writes to wake another.

cdef extern from "<sys/eventfd.h>" nogil:
    int eventfd(unsigned initial, int flags)
    enum:
        EFD_CLOEXEC
        EFD_NONBLOCK
