from typing import Self

from typing_extensions import Buffer, disjoint_base

from zcloop._native.ipc.queue_descriptor import QueueDescriptor
from zcloop._native.operation.operation import Operation

@disjoint_base
class SendQueue(Operation):
    def __new__(cls, descriptor: QueueDescriptor, data: Buffer, priority: int = 0) -> Self: ...
