"""The calls of loop.sock_* that are made per message, for plain Python sockets.

Those of other classes (of subclasses, which may have methods of their own) are the loop's in
Python, where asyncio's are.
"""

import socket as socket_module

from zcloop._native.transport.socket_call cimport (
    RECEIVE, RECEIVE_INTO, SEND_ALL, make_socket_call,
)

cdef object Socket = socket_module.socket


cdef class SocketCore(Core):
    def sock_recv(self, sock, n):
        """Await up to `n` bytes of a non-blocking socket; b"" at the end of file.

        Cancelled, it has received nothing. OSError as recv(2), and when it is closed meanwhile;
        RuntimeError when the socket is a transport's. Not thread-safe.
        """
        if type(sock) is not Socket:
            return self._sock_recv(sock, n)
        return make_socket_call(self, RECEIVE, sock, n, None)

    def sock_recv_into(self, sock, buf):
        """As sock_recv, into a writable buffer, which stays locked; how many bytes."""
        if type(sock) is not Socket:
            return self._sock_recv_into(sock, buf)
        return make_socket_call(self, RECEIVE_INTO, sock, 0, buf)

    def sock_sendall(self, sock, data):
        """Send all of `data`, which must not change meanwhile. Cancelled, nobody knows how much of
        it was sent, as with asyncio. Errors as sock_recv."""
        if type(sock) is not Socket:
            return self._sock_sendall(sock, data)
        return make_socket_call(self, SEND_ALL, sock, 0, data)
