from typing import Self

from zcloop._native.sync.futex_wait import FutexWait
from zcloop._native.sync.semaphore_words import SemaphoreWords

class AcquireSemaphore(FutexWait):
    def __new__(cls, words: SemaphoreWords) -> Self: ...
