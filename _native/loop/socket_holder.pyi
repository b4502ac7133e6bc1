from typing_extensions import disjoint_base

from zcloop._native.operation.operation import Owner

@disjoint_base
class SocketHolder(Owner):
    @property
    def fd(self) -> int: ...
