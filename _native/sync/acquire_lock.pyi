from typing import Self

from typing_extensions import disjoint_base

from zcloop._native.sync.acquire_semaphore import AcquireSemaphore
from zcloop._native.sync.posix_semaphore import PosixSemaphore

@disjoint_base
class AcquireLock(AcquireSemaphore):
    def __new__(cls, words: PosixSemaphore) -> Self: ...
