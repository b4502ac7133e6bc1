"""What the project promises: by scenario, the highest ratio of zcloop to a peer.

An aim is about CPU per operation unless it names another figure. Of each figure less is better, so
a promised rate is given as its inverse.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.scenarios import KIB, ZERO_COPY_SIZES

PEER = "uvloop"
NOT_BEHIND = (
    "asyncio",
    "rloop",
    "rsloop",
    "blazio",
    "zuvloop",
)  # in CPU per operation, on each row


@dataclass(frozen=True)
class Aim:
    """One promise: the highest ratio of zcloop to the peer."""

    ratio: float
    peer: str = PEER
    figure: str = "cpu"  # or "time" of an operation, "p99", "rss" of a connection

    def __str__(self) -> str:
        about = "" if self.figure == "cpu" else f"{self.figure} "
        return f"{about}{self.ratio:g} of {self.peer}"


def _time(ratio: float) -> list[Aim]:
    return [Aim(ratio, figure="time")]


def _all(names: str, *aims: Aim | float) -> dict[str, list[Aim]]:
    listed = [aim if isinstance(aim, Aim) else Aim(aim) for aim in aims]
    return dict.fromkeys(names.split(), listed)


AIMS: dict[str, list[Aim]] = {
    **_all("echo-64-1", 0.97),
    **_all("echo-64-10", 0.88),
    **_all("echo-64-100", 0.83, Aim(1.05, "c-uring")),
    **_all("echo-64-1000", 0.76),
    **_all("echo-1k-10 echo-1k-100 echo-1k-1000", 0.82),
    **_all("echo-10k-1 echo-10k-10 echo-10k-100 echo-10k-1000", 0.86),
    **_all("echo-100k-1 echo-100k-10 echo-100k-100", 0.84),
    **_all("echo-100k-1000", 0.95),
    **_all("client-1k-100", 0.72),
    **_all("http-1", 0.94),
    **_all("http-64 http-256", 0.80),
    **_all("http-pipelined", 0.19),
    **_all("uvicorn-64", 0.58),
    **_all("aiohttp-64", 0.78),
    **_all("streams-64-1 streams-64-100 streams-10k-10", 0.72),
    **_all("own-streams-64-1 own-streams-64-100 own-streams-10k-10", 0.50),
    **_all("udp-64 udp-64-1 udp-1k udp-1400", 0.72),
    **_all("udp-sink-64 udp-sink-1400 udp-source-64 udp-source-1400", 0.72),
    **_all("udp-sink-gro-64 udp-sink-gro-1400 udp-source-gso-64 udp-source-gso-1400", 0.2),
    **_all("tls-1k-100 tls-100k-10", 0.80),
    **_all("unix-64-100 unix-10k-10", 0.78),
    **_all("churn churn-client", 0.85),
    **_all("source-64k source-1m", 0.72),
    **_all("sink-64k sink-1m", 0.85),
    **_all("sendfile-1m", Aim(0.8, "asyncio")),
    **_all("sock-64-1 sock-64-100 sock-10k-10", 0.6),
    "subprocess-spawn": _time(round(1 / 3.1, 2)),
    **_all("pipe-read", 0.7),
    "call-soon": _time(0.28),
    "call-soon-chain": _time(0.20),
    "call-later-cancel": _time(0.10),
    "sleep-0": _time(0.40),
    "create-task": _time(0.60),
    "future-round-trip": _time(0.42),
    "threadsafe-round-trip": _time(0.68),
    "threadsafe-burst": _time(0.36),
    "executor-round-trip": _time(0.9),
    "reader-add-remove": _time(0.15),
    "idle-10000": [Aim(0.65, figure="rss"), Aim(1.0, figure="p99")],
}

# For servers that never freed a large block (README.md, "A trap").
FRESH_AIMS = _all("tls-1k-100 tls-100k-10", 0.42)

# For a ZeroCopyProtocol (`make bench-zero-copy`).
ZERO_COPY_AIMS = {
    **{f"zero-copy-sink-{size}": [Aim(0.75)] for size in ZERO_COPY_SIZES},
    **{f"zero-copy-echo-{size}": [Aim(1.0)] for size in ZERO_COPY_SIZES},
    **{
        f"zero-copy-proxy-{size}": [Aim(0.7 if bytes_ >= 64 * KIB else 1.0)]
        for size, bytes_ in ZERO_COPY_SIZES.items()
    },
}


def aims(scenario: str, peer: str, protocol: str = "", is_fresh: bool = False) -> Iterator[Aim]:
    """Return what is promised of a scenario against this peer."""
    table = FRESH_AIMS if is_fresh else AIMS
    if protocol == "zero-copy":
        table = ZERO_COPY_AIMS
    promised = [aim for aim in table.get(scenario, ()) if aim.peer == peer]
    if not promised and peer in NOT_BEHIND and scenario in AIMS and not protocol:
        promised = [Aim(1.0, peer)]
    yield from promised
