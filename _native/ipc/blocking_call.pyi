from typing import Any

from typing_extensions import disjoint_base

from zcloop._native.operation.operation import Operation

@disjoint_base
class BlockingCall(Operation):
    def withdraw(self) -> None: ...
    def block(self, timeout: float | None) -> Any: ...
