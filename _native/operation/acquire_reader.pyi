from typing import Self

from zcloop._native.memory.lock_words import LockWords
from zcloop._native.operation.futex_wait import FutexWait

class AcquireReader(FutexWait):
    def __new__(cls, words: LockWords) -> Self: ...
