from typing_extensions import disjoint_base

from zcloop._native.transport.endpoint import Endpoint

@disjoint_base
class Inlet(Endpoint):
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
