"""loop.sock_*: asyncio's calls on plain sockets, which lose no data when they are cancelled.

Each tries its system call first, and on EAGAIN waits until the socket is ready and tries again. The
awaiting coroutine makes the system call itself. asyncio's own loop receives in a callback and gives
the bytes to a future, and a task that is cancelled between the two loses them. Here they are still
in the socket, for the next call.

When a socket is closed while one of these waits for it, the wait ends with OSError (EBADF).
"""

from __future__ import annotations

import asyncio
import errno
import socket
from asyncio import base_events
from collections.abc import Callable
from typing import Any, TypeVar

_check_ssl_socket: Any = base_events._check_ssl_socket  # type: ignore[attr-defined]
_Result = TypeVar("_Result")
_NOT_YET = (errno.EAGAIN, errno.EALREADY, errno.EINPROGRESS, errno.EINTR)
# Seconds between two tries of a Unix socket to connect. With these a thousand sockets that wait
# take 0.2 of a core.
_ROOM_PAUSE_MIN = 0.001
_ROOM_PAUSE_MAX = 0.05


def octets(data: Any) -> memoryview:
    """A view of the bytes of a buffer, or of a copy where no view of bytes can show the buffer."""
    with memoryview(data) as view:
        try:
            return view.cast("B")
        except TypeError:  # not contiguous, or of no native format
            return memoryview(view.tobytes())


def _has_peer(sock: socket.socket) -> bool:
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


class SocketCalls:
    """The sock_* methods of zcloop.Loop, but for those that SocketCore has for plain sockets."""

    _debug: bool
    _ensure_resolved: Any
    _wait_for_socket: Any

    def _check_socket(self, sock: socket.socket) -> None:
        _check_ssl_socket(sock)
        if self._debug and sock.gettimeout() != 0:
            raise ValueError("the socket must be non-blocking")

    async def _readiness(self, sock: socket.socket, before: Any, *, to_write: bool) -> Any:
        """Wait until `sock` is ready; RuntimeError if it is a transport's.

        `before` is the last wait of the same call, or None. Returns the wait, for the next one.
        """
        wait = self._wait_for_socket(sock, to_write, before)
        try:
            await wait.future
        finally:
            wait.end()
        return wait

    async def _received(
        self, sock: socket.socket, call: Callable[..., _Result], *arguments: Any
    ) -> _Result:
        self._check_socket(sock)
        before = None
        while True:
            try:
                return call(*arguments)
            except (BlockingIOError, InterruptedError):
                pass
            before = await self._readiness(sock, before, to_write=False)

    async def _sock_recv(self, sock: socket.socket, n: int) -> bytes:
        return await self._received(sock, sock.recv, n)

    async def _sock_recv_into(self, sock: socket.socket, buf: Any) -> int:
        return await self._received(sock, sock.recv_into, buf)

    async def sock_recvfrom(self, sock: socket.socket, bufsize: int) -> tuple[bytes, Any]:
        """Receive a datagram of up to `bufsize` bytes; it and its sender."""
        return await self._received(sock, sock.recvfrom, bufsize)

    async def sock_recvfrom_into(
        self, sock: socket.socket, buf: Any, nbytes: int = 0
    ) -> tuple[int, Any]:
        """Receive a datagram into `buf`, or its first `nbytes` bytes; its size and its sender."""
        return await self._received(sock, sock.recvfrom_into, buf, nbytes or 0)

    async def sock_accept(self, sock: socket.socket) -> tuple[socket.socket, Any]:
        """Accept a connection; its socket, which does not block, and its peer's address."""
        conn, address = await self._received(sock, sock.accept)
        conn.setblocking(False)
        return conn, address

    async def _sock_sendall(self, sock: socket.socket, data: Any) -> None:
        self._check_socket(sock)
        with octets(data) as view:
            sent, before = 0, None
            while sent < len(view):
                try:
                    sent += sock.send(view[sent:])
                except (BlockingIOError, InterruptedError):
                    before = await self._readiness(sock, before, to_write=True)

    async def sock_sendto(self, sock: socket.socket, data: Any, address: Any) -> int:
        """Send a datagram; how many bytes of it were sent."""
        self._check_socket(sock)
        before = None
        while True:
            try:
                return sock.sendto(data, address)
            except (BlockingIOError, InterruptedError):
                pass
            before = await self._readiness(sock, before, to_write=True)
            if sock.family == socket.AF_UNIX:
                await self._room_at(sock, address)

    async def _room_at(self, sock: socket.socket, address: Any) -> None:
        """Wait until the receiver of a Unix socket's datagrams has room.

        A poll of an unconnected socket says that it can always send. So this polls a socket of its
        own that is connected to the receiver.
        """
        with socket.socket(sock.family, sock.type) as receiver:
            receiver.setblocking(False)
            try:
                receiver.connect(address)
            except OSError:
                return  # the next try says what is wrong
            await self._readiness(receiver, None, to_write=True)

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Connect; a host name is resolved without blocking. An OSError names the address.

        If a Unix listener's backlog is full this waits for room, as a blocking connect() does.
        """
        self._check_socket(sock)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            resolved = await self._ensure_resolved(
                address, family=sock.family, type=sock.type, proto=sock.proto, loop=self
            )
            address = resolved[0][4]
        try:
            sock.connect(address)
            return
        except (BlockingIOError, InterruptedError) as error:
            is_in_progress = error.errno != errno.EAGAIN
            if not is_in_progress and sock.family != socket.AF_UNIX:
                raise
        if is_in_progress:
            await self._finish_connecting(sock, address)
        else:
            await self._connect_when_there_is_room(sock, address)

    async def _connect_when_there_is_room(self, sock: socket.socket, address: Any) -> None:
        """Try to connect until the listener has room, at growing distances.

        One cannot poll for room: a poll says that the socket, which is not connected, is writable.
        """
        pause = _ROOM_PAUSE_MIN
        while True:
            await asyncio.sleep(pause)
            pause = min(2 * pause, _ROOM_PAUSE_MAX)
            try:
                return sock.connect(address)
            except BlockingIOError:
                pass

    async def _finish_connecting(self, sock: socket.socket, address: Any) -> None:
        number = sock.connect_ex(address)  # over loopback the peer has answered already
        before = None
        while number:
            if number not in _NOT_YET:
                raise OSError(number, f"Connect call failed {address}")
            before = await self._readiness(sock, before, to_write=True)
            number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if number == 0 and not _has_peer(sock):
                number = errno.ENOTCONN
