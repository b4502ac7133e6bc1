from typing_extensions import disjoint_base

from zcloop._native.channel.channel import Channel

@disjoint_base
class SharedChannel(Channel): ...
