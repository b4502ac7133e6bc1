from typing import Self

from typing_extensions import disjoint_base

from zcloop._native.sync.futex_wait import FutexWait
from zcloop._native.sync.lock_words import LockWords

@disjoint_base
class AcquireWriter(FutexWait):
    def __new__(cls, words: LockWords) -> Self: ...
