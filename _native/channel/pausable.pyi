from typing_extensions import disjoint_base

from zcloop._native.channel.channel import Channel
from zcloop._native.memory.pool import Pool

@disjoint_base
class PausableChannel(Channel):
    has_multishot_receive: bool
    has_multishot_message: bool

    @property
    def pool(self) -> Pool | None: ...
    @property
    def is_started(self) -> bool: ...
    def lending_pool(self) -> Pool: ...
    def statistics(self) -> dict[str, int]: ...
