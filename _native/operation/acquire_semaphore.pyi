from typing import Self

from zcloop._native.memory.semaphore_words import SemaphoreWords
from zcloop._native.operation.futex_wait import FutexWait

class AcquireSemaphore(FutexWait):
    def __new__(cls, words: SemaphoreWords) -> Self: ...
