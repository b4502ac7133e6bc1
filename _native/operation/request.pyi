from typing import Self

from typing_extensions import disjoint_base

from zcloop._native.operation.operation import Operation
from zcloop._native.operation.poll import Poll

@disjoint_base
class Request(Operation):
    def holding(self, file: object) -> Self: ...

def poll(fd: int, mask: int) -> Poll: ...
def timeout(seconds: float) -> Request: ...
def nop(fd: int = -1) -> Request: ...
