from typing import Self, final

from typing_extensions import Buffer

from zcloop._native.ipc.blocking_call import BlockingCall

@final
class SendSysv(BlockingCall):
    def __new__(cls, queue: int, data: Buffer, mtype: int) -> Self: ...
