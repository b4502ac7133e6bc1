"""The one table of what is measured, and the groups that the command line may name."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass

from bench.callbacks import BATCHES

KIB = 1024


@dataclass(frozen=True)
class Scenario:
    """One measurement: which server, which client against it, and how much of what at a time."""

    name: str
    group: str
    server: str = "echo"  # a kind of servers.py; "" for one of callbacks.py
    client: str = "echo"  # a mode of the C client
    connections: int = 1
    size: int = 64  # an operation is one message of this size; in the source its block
    depth: int = 1  # messages in flight on one connection
    transport: str = "tcp"  # or "unix", "tls"
    wrk: bool = False  # driven by wrk where it is installed


ZERO_COPY_SIZES = {
    "1k": KIB,
    "16k": 16 * KIB,
    "64k": 64 * KIB,
    "256k": 256 * KIB,
    "1m": 1024 * KIB,
}

SCENARIOS = [
    Scenario("echo-64-1", "echo"),
    Scenario("echo-64-10", "echo", connections=10),
    Scenario("echo-64-100", "echo", connections=100),
    Scenario("echo-64-1000", "echo", connections=1000),
    Scenario("echo-1k-1", "echo", size=KIB),
    Scenario("echo-1k-100", "echo", connections=100, size=KIB),
    Scenario("echo-1k-1000", "echo", connections=1000, size=KIB),
    Scenario("echo-10k-1", "echo", size=10 * KIB),
    Scenario("echo-10k-10", "echo", connections=10, size=10 * KIB),
    Scenario("echo-10k-100", "echo", connections=100, size=10 * KIB),
    Scenario("echo-10k-1000", "echo", connections=1000, size=10 * KIB),
    Scenario("echo-100k-1", "echo", size=100 * KIB),
    Scenario("echo-100k-10", "echo", connections=10, size=100 * KIB),
    Scenario("echo-100k-100", "echo", connections=100, size=100 * KIB),
    Scenario("echo-pipelined", "echo", connections=10, depth=16),
    Scenario("buffered-64-100", "buffered", "buffered-echo", connections=100),
    Scenario("buffered-100k-10", "buffered", "buffered-echo", connections=10, size=100 * KIB),
    Scenario("http-1", "http", "http", "http", wrk=True),
    Scenario("http-64", "http", "http", "http", connections=64, wrk=True),
    Scenario("http-256", "http", "http", "http", connections=256, wrk=True),
    Scenario("http-pipelined", "http", "http", "http", connections=64, depth=16),
    Scenario("streams-64-1", "streams", "streams"),
    Scenario("streams-64-100", "streams", "streams", connections=100),
    Scenario("streams-10k-10", "streams", "streams", connections=10, size=10 * KIB),
    Scenario("udp-64", "udp", "udp", "datagram", connections=10, depth=10),
    Scenario("udp-64-1", "udp", "udp", "datagram"),
    # 50 in flight: what a socket's default receive buffer holds of this size with its overhead.
    Scenario("udp-1k", "udp", "udp", "datagram", connections=10, depth=5, size=KIB),
    Scenario("sink", "bulk", "sink", "sink", connections=4, size=64 * KIB),
    Scenario("source", "bulk", "source", "source", connections=4, size=64 * KIB),
    Scenario("unix-64-100", "unix", connections=100, transport="unix"),
    Scenario("unix-10k-10", "unix", connections=10, size=10 * KIB, transport="unix"),
    Scenario("tls-64-100", "tls", connections=100, transport="tls"),
    Scenario("tls-10k-10", "tls", connections=10, size=10 * KIB, transport="tls"),
    Scenario("sock-64-1", "sock", "sock"),
    Scenario("sock-64-100", "sock", "sock", connections=100),
    Scenario("sock-10k-10", "sock", "sock", connections=10, size=10 * KIB),
    Scenario("churn", "churn", client="churn", connections=10),
    Scenario("churn-unix", "churn", client="churn", connections=10, transport="unix"),
    *(Scenario(name, "callbacks", server="") for name in BATCHES),
    *(
        Scenario(f"zero-copy-{kind}-{size}", "zero-copy", kind, client, 10, bytes_)
        for kind, client in (("sink", "sink"), ("echo", "echo"), ("proxy", "echo"))
        for size, bytes_ in ZERO_COPY_SIZES.items()
    ),
]

# The CPU ratio against uvloop that the project promises: the group `floor`.
FLOOR = {
    "echo-64-100": 0.88,
    "echo-10k-10": 0.95,
    "echo-100k-10": 1.1,
    "http-64": 0.88,
    "streams-64-100": 0.85,
    "udp-64": 0.8,
    "call-soon-chain": 0.3,
}

# And of a ZeroCopyProtocol: the aim of `make bench-zero-copy`.
ZERO_COPY = {
    **{f"zero-copy-sink-{size}": 0.75 for size in ZERO_COPY_SIZES},
    **{f"zero-copy-echo-{size}": 1.0 for size in ZERO_COPY_SIZES},
    **{
        f"zero-copy-proxy-{size}": 0.7 if bytes_ >= 64 * KIB else 1.0
        for size, bytes_ in ZERO_COPY_SIZES.items()
    },
}

GROUPS = ("floor", *dict.fromkeys(scenario.group for scenario in SCENARIOS), "all")


def select(names: list[str]) -> list[Scenario]:
    """The scenarios that names, groups and patterns (`echo-*`) choose, in the table's order."""

    def is_chosen(scenario: Scenario, name: str) -> bool:
        if name in GROUPS:
            return name in ("all", scenario.group) or (name == "floor" and scenario.name in FLOOR)
        return fnmatch.fnmatch(scenario.name, name)

    for name in names:
        if not any(is_chosen(scenario, name) for scenario in SCENARIOS):
            raise ValueError(f"no scenario or group {name}: --list shows them")
    return [one for one in SCENARIOS if any(is_chosen(one, name) for name in names)]
