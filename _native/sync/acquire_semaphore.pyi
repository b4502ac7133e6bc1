from typing import Self

from zcloop._native.sync.semaphore_words import SemaphoreWords
from zcloop._native.sync.futex_wait import FutexWait

class AcquireSemaphore(FutexWait):
    def __new__(cls, words: SemaphoreWords) -> Self: ...
