from typing import Final

from typing_extensions import disjoint_base

from zcloop._native.sync.mutex_words import MutexWords

PROCESSES_MAX: Final[int]
SIZE: Final[int]

@disjoint_base
class LockWords(MutexWords):
    @property
    def readers_count(self) -> int: ...
    def _release_read(self) -> None: ...
