from typing import Self

from typing_extensions import disjoint_base

from zcloop._native.sync.futex_wait import FutexWait
from zcloop._native.sync.lock_words import LockWords
from zcloop._native.sync.posix_semaphore import PosixSemaphore
from zcloop._native.sync.words import Words

class Acquire(FutexWait):
    def __new__(cls, words: Words) -> Self: ...

@disjoint_base
class AcquireLock(Acquire):
    def __new__(cls, words: PosixSemaphore) -> Self: ...

class AcquireReader(Acquire):
    def __new__(cls, words: LockWords) -> Self: ...

@disjoint_base
class AcquireWriter(Acquire):
    def __new__(cls, words: LockWords) -> Self: ...
