"""errno to exception: the one place where a kernel's number becomes a Python error."""

import os


cdef object os_error(int errno, str what):
    """The OSError of a positive errno, of the subclass that Python has for it; `what` or None is
    what failed."""
    if what is None:
        return OSError(errno, os.strerror(errno))
    return OSError(errno, f"{os.strerror(errno)}: {what}")


cdef int raise_os_error(int errno, str what) except -1:
    raise os_error(errno, what)
