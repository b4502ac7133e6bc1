from typing import Self

from zcloop._native.memory.mutex_words import MutexWords
from zcloop._native.operation.futex_wait import FutexWait

class AcquireMutex(FutexWait):
    def __new__(cls, words: MutexWords) -> Self: ...
