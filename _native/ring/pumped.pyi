from typing import Self

from typing_extensions import disjoint_base

from zcloop._native.ring.readiness import ReadinessRing

@disjoint_base
class PumpedRing(ReadinessRing):
    def __new__(cls, entries: int, cq_entries: int, is_shared: bool = True) -> Self: ...
