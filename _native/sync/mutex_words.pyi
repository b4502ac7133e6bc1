from typing import Final

from typing_extensions import Buffer, disjoint_base

from zcloop._native.sync.words import Words

SIZE: Final[int]

@disjoint_base
class MutexWords(Words):
    def _create(self, buffer: Buffer | None, offset: int) -> None: ...
    def _attach(self, buffer: Buffer, offset: int) -> None: ...
    def _release(self, is_left: bool = False) -> None: ...
    @property
    def holder_pid(self) -> int | None: ...
    @property
    def waiting(self) -> int: ...
