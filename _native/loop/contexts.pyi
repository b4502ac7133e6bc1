from typing import Self

from typing_extensions import disjoint_base

@disjoint_base
class Contexts:
    is_shared: bool

    def __new__(cls, *args: object, **kwargs: object) -> Self: ...
