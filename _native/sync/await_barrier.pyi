from typing import Self

from typing_extensions import disjoint_base

from zcloop._native.sync.barrier_words import BarrierWords
from zcloop._native.sync.futex_wait import FutexWait

@disjoint_base
class AwaitBarrier(FutexWait):
    def __new__(cls, words: BarrierWords) -> Self: ...
