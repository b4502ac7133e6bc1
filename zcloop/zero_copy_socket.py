"""Region memory for programs that have no loop: sio_recv and sio_send, one system call each."""

from __future__ import annotations

import socket

from zcloop._closed_on_exit import ClosedOnExit
from zcloop._native.memory.lender import Lender
from zcloop._native.memory.pool import Pool
from zcloop._native.memory.region import Lease, Region

RECEIVE_SIZE = 65536


class ZeroCopySocket(ClosedOnExit):
    """A connected socket that receives into a region and sends from one, with no copy in user
    space. Each call waits as the socket's timeout says.

    As thread-safe as the socket: each `recv` has a block of its own. What was received outlives
    both the socket and this object; the region can be closed when it has been released.
    """

    def __init__(self, sock: socket.socket, region: Region) -> None:
        self._socket = sock
        self._region = region
        # Whom the region names as the holder, in leases() and when it cannot be closed.
        self._lender = Lender(Pool())
        self._lender.copybreak = 0
        self._lender.account.name = type(self).__qualname__

    def __repr__(self) -> str:
        return f"<{type(self).__name__} fd={self.fileno()} {self._region!r}>"

    def fileno(self) -> int:
        """The socket's, for select and the like; -1 once closed."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket, not the region. Idempotent."""
        self._socket.close()

    def recv(self, size: int = RECEIVE_SIZE) -> memoryview:
        """What came, at most `size` bytes, where the kernel put it (sio_recv): a writable view,
        empty at the end of file, to be released when done with.

        What the block has beyond that is free again. Raises what socket.recv raises, and takes no
        memory then: OSError, TimeoutError, BlockingIOError. RegionExhaustedError when no free
        block holds `size` bytes, and ValueError for a size below 1 or a closed region: nothing
        was received, nothing lost.
        """
        if size < 1:
            raise ValueError("recv needs a size of at least one byte")
        with self._region.reserve(size, zeroed=False) as buffer:
            got = self._socket.recv_into(buffer)
            if got:
                return self._lender.lent(buffer, got)
        return memoryview(bytearray())

    def reserve(self, size: int, *, zeroed: bool = True) -> memoryview:
        """A writable view of `size` bytes, zeroed, to be filled and sent (sio_reserve).

        `zeroed=False` is for what is filled whole: until then it shows what was there before.
        Releasing it gives the memory back. Raises as Region.reserve. Thread-safe.
        """
        return self._region.reserve(size, zeroed=zeroed)

    def send(self, view: memoryview) -> int:
        """Send from a view of any region's memory (sio_send); how many bytes the kernel took.

        The kernel has its own copy then: the view may be changed and released at once. Raises
        what socket.send raises; ValueError for other memory, TypeError for what is no view.
        """
        self._check(view)
        return self._socket.send(view)

    def sendall(self, view: memoryview) -> None:
        """Send all of it; as socket.sendall, an error leaves unsaid how much was sent."""
        self._check(view)
        self._socket.sendall(view)

    def _check(self, view: memoryview) -> None:
        if not isinstance(view, memoryview):
            raise TypeError(
                f"a view of a region's memory is needed, not {type(view).__name__!r}: fill one "
                "that reserve() gives, or use send() of the socket itself"
            )
        if not isinstance(view.obj, Lease):
            raise ValueError(
                "this view does not show a region's memory: fill one that reserve() gives, or "
                "use send() of the socket itself"
            )
