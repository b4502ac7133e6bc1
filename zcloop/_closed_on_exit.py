"""What `with` does for each object that has a `close`."""

from __future__ import annotations

from types import TracebackType
from typing import Self


class ClosedOnExit:
    """`with` gives the object, and closes it at the end of the block."""

    __slots__ = ()

    def close(self) -> None:
        """Close it. Idempotent."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
