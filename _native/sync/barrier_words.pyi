from typing import Final

from typing_extensions import Buffer, disjoint_base

from zcloop._native.sync.words import Words

SIZE: Final[int]
PARTIES_MAX: Final[int]

@disjoint_base
class BarrierWords(Words):
    def _create(self, parties: int, buffer: Buffer | None, offset: int) -> None: ...
    def _attach(self, buffer: Buffer, offset: int) -> None: ...
    def _end_round(self, is_broken: bool) -> None: ...
    @property
    def parties(self) -> int: ...
    @property
    def n_waiting(self) -> int: ...
    @property
    def broken(self) -> bool: ...
