from typing_extensions import disjoint_base

from zcloop._native.transport.datagram_sender import DatagramSender

@disjoint_base
class DatagramDelivery(DatagramSender): ...
