from asyncio import BaseProtocol, BaseTransport
from typing import Any

from typing_extensions import disjoint_base

from zcloop._native.transport.stream import Stream

@disjoint_base
class Pipe(Stream):
    @property
    def pipe(self) -> Any: ...
    def open(self, face: BaseTransport, protocol: BaseProtocol, pipe: Any) -> None: ...
