from asyncio import Future

from typing_extensions import disjoint_base

from zcloop._native.operation.operation import Owner

@disjoint_base
class SocketWait(Owner):
    @property
    def future(self) -> Future[None]: ...
    def end(self) -> None: ...
