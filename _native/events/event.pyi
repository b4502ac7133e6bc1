from typing import Any, final

@final
class Event:
    __match_args__ = ("type", "source", "result", "errno", "data")

    def __init__(
        self,
        type: str,  # noqa: A002
        source: Any = None,
        result: Any = None,
        errno: int = 0,
        data: Any = None,
    ) -> None: ...
    @property
    def type(self) -> str: ...
    @property
    def source(self) -> Any: ...
    @property
    def result(self) -> Any: ...
    @property
    def errno(self) -> int: ...
    @property
    def data(self) -> Any: ...
    def check(self) -> Any: ...
