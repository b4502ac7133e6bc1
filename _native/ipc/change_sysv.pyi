from collections.abc import Iterable
from typing import Self, final

from zcloop._native.ipc.blocking_call import BlockingCall

@final
class ChangeSysv(BlockingCall):
    def __new__(cls, semid: int, changes: Iterable[tuple[int, int]], undo: bool) -> Self: ...
