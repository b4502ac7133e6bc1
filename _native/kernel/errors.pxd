# libc.errno lacks a few of the kernel's numbers.
cdef extern from "<errno.h>" nogil:
    enum:
        ECANCELED
        ETIME
        ENOBUFS
        EOPNOTSUPP
        EOWNERDEAD

cdef object os_error(int errno, str what)
cdef int raise_os_error(int errno, str what) except -1
