from typing import final

from typing_extensions import Buffer

from zcloop._native.operation.blocking_call import BlockingCall

@final
class SendSysv(BlockingCall):
    def __init__(self, queue: int, data: Buffer, mtype: int) -> None: ...
