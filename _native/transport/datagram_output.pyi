from typing_extensions import disjoint_base

from zcloop._native.transport.endpoint import Endpoint

@disjoint_base
class DatagramOutput(Endpoint): ...
