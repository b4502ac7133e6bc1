from typing import Self, final

from zcloop._native.ipc.blocking_call import BlockingCall

@final
class ReceiveSysv(BlockingCall):
    def __new__(cls, queue: int, mtype: int, flags: int) -> Self: ...
