from typing import Any

from typing_extensions import disjoint_base

from zcloop._native.operation.operation import Operation, Owner

@disjoint_base
class EventRequest(Owner):
    def __init__(
        self,
        type: str,  # noqa: A002
        source: Any,
        operation: Operation,
        *,
        data: Any = None,
        priority: int = 0,
    ) -> None: ...
    @property
    def type(self) -> str: ...
    @property
    def source(self) -> Any: ...
    @property
    def data(self) -> Any: ...
    @property
    def is_pending(self) -> bool: ...
    def set_priority(self, priority: int) -> None: ...
