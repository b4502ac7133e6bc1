from typing import Self, final

from zcloop._native.operation.operation import Operation

@final
class Poll(Operation):
    def holding(self, file: object) -> Self: ...
