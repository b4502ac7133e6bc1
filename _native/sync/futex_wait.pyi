from typing import Final

from typing_extensions import disjoint_base

from zcloop._native.operation.operation import Operation

HEAL_SECONDS: Final[float]
NOT_YET: Final[int]

@disjoint_base
class FutexWait(Operation):
    @property
    def is_late(self) -> bool: ...
    def begin(self, is_polite: bool = True) -> int: ...
    def end(self) -> None: ...
    def heal(self) -> bool: ...
    def block(self, timeout: float | None = None) -> int: ...
