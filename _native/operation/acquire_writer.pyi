from typing import Self

from typing_extensions import disjoint_base

from zcloop._native.memory.lock_words import LockWords
from zcloop._native.operation.futex_wait import FutexWait

@disjoint_base
class AcquireWriter(FutexWait):
    def __new__(cls, words: LockWords) -> Self: ...
