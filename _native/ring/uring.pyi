from typing import Self

from typing_extensions import disjoint_base

from zcloop._native.ring.ring import Ring

@disjoint_base
class UringRing(Ring):
    def __new__(cls, entries: int, cq_entries: int, is_shared: bool = False) -> Self: ...

def self_test() -> None: ...
