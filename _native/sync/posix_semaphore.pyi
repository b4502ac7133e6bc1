from os import PathLike
from typing import Any

from typing_extensions import disjoint_base

from zcloop._native.sync.semaphore_words import SemaphoreWords

@disjoint_base
class PosixSemaphore(SemaphoreWords):
    def _open(
        self, name: str | bytes | PathLike[str], flags: int, mode: int, value: int
    ) -> None: ...
    def _adopt(self, semlock: Any) -> None: ...

def unlink(name: str | bytes | PathLike[str]) -> None: ...
