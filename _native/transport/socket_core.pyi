from collections.abc import Coroutine
from socket import socket
from typing import Any

from _typeshed import ReadableBuffer, WriteableBuffer

from zcloop._native.loop.core import Core

class SocketCore(Core):
    def sock_recv(self, sock: socket, n: int) -> Coroutine[Any, Any, bytes]: ...
    def sock_recv_into(self, sock: socket, buf: WriteableBuffer) -> Coroutine[Any, Any, int]: ...
    def sock_sendall(self, sock: socket, data: ReadableBuffer) -> Coroutine[Any, Any, None]: ...
