from typing_extensions import disjoint_base

from zcloop._native.transport.receiver import Receiver

@disjoint_base
class ReadBuffer(Receiver): ...
