from typing_extensions import disjoint_base

from zcloop._native.channel.loop_channel import LoopChannel

@disjoint_base
class SharedChannel(LoopChannel): ...
