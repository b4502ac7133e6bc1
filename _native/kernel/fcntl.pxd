# fcntl(2), and the flags by which a call that takes a path takes a descriptor instead: openat(2).

cdef extern from "<fcntl.h>" nogil:
    enum:
        AT_EMPTY_PATH
        AT_FDCWD
        F_DUPFD_CLOEXEC
