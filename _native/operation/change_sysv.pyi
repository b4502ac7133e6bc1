from collections.abc import Iterable
from typing import final

from zcloop._native.operation.blocking_call import BlockingCall

@final
class ChangeSysv(BlockingCall):
    def __init__(self, semid: int, changes: Iterable[tuple[int, int]], undo: bool) -> None: ...
