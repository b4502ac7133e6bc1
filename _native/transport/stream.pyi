from typing_extensions import disjoint_base

from zcloop._native.transport.outlet import Outlet

@disjoint_base
class Stream(Outlet):
    @property
    def is_flood(self) -> bool: ...
    def announce(self) -> None: ...
    def start(self) -> None: ...
