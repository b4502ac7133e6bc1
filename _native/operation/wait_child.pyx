"""Wait for the end of a child process, and reap it: waitid.

The child's pidfd (since Linux 5.3) becomes readable when it ends; it is reaped by who asked, in
`settle`. IORING_OP_WAITID (since 6.7) would save the pidfd, but reaps in the kernel on behalf of
an asker that may have gone: then the status is lost.
"""

import os

from libc.errno cimport ENOMEM
from posix.unistd cimport close

from zcloop._native.kernel.poll cimport POLLIN
from zcloop._native.operation.operation cimport NOT_YET


cdef class WaitChild(Poll):
    """The outcome is as os.waitid's, of the child that has ended. ChildProcessError for what is
    no child of this process, ProcessLookupError for a process that does not exist."""

    def __cinit__(self, int pid):
        self.fd = -1
        self.mask = POLLIN
        if pid < 1:
            raise ValueError(f"process {pid}: a child's pid is needed")
        self.fd = os.pidfd_open(pid)
        # Of others it would never end, or with an error.
        os.waitid(os.P_PIDFD, self.fd, os.WEXITED | os.WNOHANG | os.WNOWAIT)

    def __dealloc__(self):
        if self.mask and self.fd >= 0:      # not of wrong arguments, which leave 0 in both
            close(self.fd)

    cdef int settle(self, int result) noexcept:
        if result < 0:
            return result
        try:
            self.waited = os.waitid(os.P_PIDFD, self.fd, os.WEXITED | os.WNOHANG)
        except OSError as error:
            return -<int> error.errno       # ECHILD: somebody else has reaped it
        except Exception:
            return -ENOMEM
        return NOT_YET if self.waited is None else 0

    cdef object outcome(self, int result):
        return self.waited
