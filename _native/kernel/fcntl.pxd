# fcntl(2), and how calls that take a path name a descriptor instead.

cdef extern from "<fcntl.h>" nogil:
    enum:
        AT_EMPTY_PATH
        AT_FDCWD
        F_DUPFD_CLOEXEC
