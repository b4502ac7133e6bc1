from typing import Self

from zcloop._native.sync.futex_wait import FutexWait
from zcloop._native.sync.mutex_words import MutexWords

class AcquireMutex(FutexWait):
    def __new__(cls, words: MutexWords) -> Self: ...
