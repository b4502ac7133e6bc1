"""What one measurement found, and the figures that it gives."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """What one measurement found in its window."""

    ops: int
    seconds: float
    cpu_seconds: float
    bytes: int = 0
    lost: int = 0
    p50_us: float | None = None
    p99_us: float | None = None
    rss_bytes: int | None = None  # of the server, while the load is still there
    rss_per_connection: float | None = None  # bytes, of each idle connection
    noise: float = 0.0  # cores that other programs kept busy in the window

    @property
    def cpu_us_per_op(self) -> float:
        """CPU time of the server, user and system, for one operation."""
        return self.cpu_seconds / self.ops * 1e6

    @property
    def cpu_seconds_per_gib(self) -> float:
        """CPU time of the server per GiB that the client got back, or that a sink took."""
        return self.cpu_seconds / self.bytes * 2**30 if self.bytes else math.nan

    @property
    def rss_mib(self) -> float | None:
        """Memory of the server."""
        return None if self.rss_bytes is None else self.rss_bytes / 2**20

    @property
    def ops_per_second(self) -> float:
        """Operations a second of elapsed time."""
        return self.ops / self.seconds


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def merged(samples: Sequence[Sample]) -> Sample:
    """Make one sample of several windows. Counts are added, memory is that of the last window, and
    of percentiles, which cannot be added, it takes the median."""
    last = samples[-1]
    return Sample(
        sum(one.ops for one in samples),
        sum(one.seconds for one in samples),
        sum(one.cpu_seconds for one in samples),
        sum(one.bytes for one in samples),
        sum(one.lost for one in samples),
        _median([one.p50_us for one in samples]),
        _median([one.p99_us for one in samples]),
        last.rss_bytes,
        last.rss_per_connection,
        statistics.mean(one.noise for one in samples),
    )
