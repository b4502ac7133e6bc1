"""The loop.sock_* calls that are made for each message, natively, for plain Python sockets.

Sockets of other classes may have methods of their own, such as `recv`. The loop's Python half
calls those (zcloop/loop/_sockets.py).
"""

import socket as socket_module

from zcloop._native.transport.socket_call cimport (
    RECEIVE, RECEIVE_INTO, SEND_ALL, make_socket_call,
)

cdef object Socket = socket_module.socket


cdef class SocketCore(Core):
    def sock_recv(self, sock, n):
        """Receive up to `n` bytes from a non-blocking socket; b"" at the end of file.

        If it is cancelled nothing was received. OSError for what recv(2) reports, and if the socket
        is closed meanwhile; RuntimeError if the socket is a transport's. Not thread-safe.
        """
        if type(sock) is not Socket:
            return self._sock_recv(sock, n)
        return make_socket_call(self, RECEIVE, sock, n, None)

    def sock_recv_into(self, sock, buf):
        """Receive into a writable buffer, which stays locked meanwhile; how many bytes came.

        The end of file is 0 bytes. Errors and cancellation are those of sock_recv().
        """
        if type(sock) is not Socket:
            return self._sock_recv_into(sock, buf)
        return make_socket_call(self, RECEIVE_INTO, sock, 0, buf)

    def sock_sendall(self, sock, data):
        """Send all of `data`, which must not change meanwhile.

        If it is cancelled it is not known how much was sent, as with asyncio. Errors are those of
        sock_recv().
        """
        if type(sock) is not Socket:
            return self._sock_sendall(sock, data)
        return make_socket_call(self, SEND_ALL, sock, 0, data)
