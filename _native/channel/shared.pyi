from typing_extensions import disjoint_base

from zcloop._native.channel.uring import UringChannel

@disjoint_base
class SharedChannel(UringChannel): ...
