from typing import final

from zcloop._native.operation.blocking_call import BlockingCall

@final
class ReceiveSysv(BlockingCall):
    def __init__(self, queue: int, mtype: int, flags: int) -> None: ...
