import socket as _socket
from asyncio import BaseProtocol, BaseTransport
from contextvars import Context

from typing_extensions import disjoint_base

from zcloop._native.transport.descriptor import Descriptor

@disjoint_base
class ProtocolHolder(Descriptor):
    @property
    def face(self) -> BaseTransport: ...
    @property
    def protocol(self) -> BaseProtocol: ...
    def attach(
        self,
        face: BaseTransport,
        protocol: BaseProtocol,
        socket: _socket.socket | None = None,
        context: Context | None = None,
    ) -> None: ...
    def set_protocol(self, protocol: BaseProtocol) -> None: ...
