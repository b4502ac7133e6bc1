from collections.abc import Callable
from socket import socket
from typing import Self

from typing_extensions import disjoint_base

from zcloop._native.loop.core import Core
from zcloop._native.loop.socket_holder import SocketHolder
from zcloop._native.transport.stream import Stream

@disjoint_base
class Listener(SocketHolder):
    def __new__(
        cls,
        core: Core,
        socket: socket,
        accepted: Callable[[Stream], object],
        failed: Callable[[int], object],
    ) -> Self: ...
    @property
    def is_listening(self) -> bool: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
