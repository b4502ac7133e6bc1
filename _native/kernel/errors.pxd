# errno to exception, and the kernel's numbers that Cython's libc.errno lacks.

cdef extern from "<errno.h>" nogil:
    enum:
        ECANCELED
        ETIME
        ENOBUFS
        EOPNOTSUPP
        EOWNERDEAD

cdef object os_error(int errno, str what)
cdef int raise_os_error(int errno, str what) except -1
