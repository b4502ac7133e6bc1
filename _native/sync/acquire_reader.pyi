from typing import Self

from zcloop._native.sync.futex_wait import FutexWait
from zcloop._native.sync.lock_words import LockWords

class AcquireReader(FutexWait):
    def __new__(cls, words: LockWords) -> Self: ...
