from typing_extensions import disjoint_base

from zcloop._native.transport.inlet import Inlet

@disjoint_base
class DatagramOutput(Inlet): ...
