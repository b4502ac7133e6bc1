from asyncio import Future

from typing_extensions import disjoint_base

from zcloop._native.loop.socket_holder import SocketHolder

@disjoint_base
class SocketWait(SocketHolder):
    @property
    def future(self) -> Future[None]: ...
    def end(self) -> None: ...
