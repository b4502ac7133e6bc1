"""Whoever has a request on a Python socket that the program may close meanwhile.

A request in flight keeps the file open, and with it the connection or the port. So the loop looks
once a turn whether the program has closed the socket, and calls `closed_underneath`.
"""

from zcloop._native.kernel.sealed cimport seal
from zcloop._native.kernel.sockets cimport socket_fd


cdef class SocketHolder(Owner):
    cdef int join(self, list holders) except -1:
        if self.holders is None:
            self.index = len(holders)
            self.holders = holders
            holders.append(self)
        return 0

    cdef int leave(self) except -1:
        """Leave the list; the last of the holders takes this one's place in it. Idempotent."""
        cdef SocketHolder last
        cdef list holders
        holders, self.holders = self.holders, None
        if holders is not None:
            last = <SocketHolder> holders.pop()
            if last is not self:
                last.index = self.index
                holders[self.index] = last
        return 0

    cdef bint is_closed_underneath(self) noexcept:
        return socket_fd(self.socket) != self.fd

    cdef int closed_underneath(self) except -1:
        """The program has closed the socket. Derived classes let go of its file, too."""
        return self.leave()


seal(SocketHolder)
