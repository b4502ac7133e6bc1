from typing import Self

from typing_extensions import disjoint_base

from zcloop._native.operation.operation import Operation

@disjoint_base
class Poll(Operation):
    def holding(self, file: object) -> Self: ...
