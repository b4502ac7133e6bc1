"""Wait for the end of a child process, and reap it: waitid.

The child's pidfd (since Linux 5.3) becomes readable when the child ends. It is reaped in `settle`,
which only runs while somebody waits for the outcome.

Rejected: IORING_OP_WAITID (since 6.7). It would save the pidfd, but it reaps in the kernel, also
when nobody waits any more; then the status is lost.
"""

import os

from libc.errno cimport ENOMEM
from posix.unistd cimport close

from zcloop._native.kernel.poll cimport POLLIN
from zcloop._native.operation.operation cimport NOT_YET


cdef class WaitChild(Poll):
    """The end of a child of this process, which is reaped. The outcome is what os.waitid gives.
    ChildProcessError for a process that is not this one's child, ProcessLookupError for one that
    does not exist, ValueError for a pid below 1."""

    def __cinit__(self, int pid):
        self.fd = -1
        self.mask = POLLIN
        if pid < 1:
            raise ValueError(f"process {pid}: a child's pid is needed")
        self.fd = os.pidfd_open(pid)
        # This raises ChildProcessError for a process that is not our child. A wait for such a one
        # would never end, or end with an error.
        os.waitid(os.P_PIDFD, self.fd, os.WEXITED | os.WNOHANG | os.WNOWAIT)

    def __dealloc__(self):
        if self.mask and self.fd >= 0:      # with wrong arguments both are 0, which is no pidfd
            close(self.fd)

    cdef int settle(self, int result) noexcept:
        if result < 0:
            return result
        try:
            self.waited = os.waitid(os.P_PIDFD, self.fd, os.WEXITED | os.WNOHANG)
        except OSError as error:
            return -<int> error.errno       # ECHILD: the program has reaped it otherwise
        except Exception:
            return -ENOMEM
        return NOT_YET if self.waited is None else 0

    cdef object outcome(self, int result):
        return self.waited
