from typing import Self

from typing_extensions import disjoint_base

from zcloop._native.channel.channel import Channel
from zcloop._native.ring.ring import Ring

@disjoint_base
class LoopChannel(Channel):
    def __new__(
        cls,
        entries: int = 256,
        completion_entries: int = 2048,
        is_shared: bool = False,
        backend: str | None = None,
    ) -> Self: ...
    @property
    def pinned(self) -> int: ...
    @property
    def ring(self) -> Ring: ...
    def close(self) -> None: ...
    def abandon(self) -> None: ...
    def statistics(self) -> dict[str, int]: ...
