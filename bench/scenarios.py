"""The one table of what is measured."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bench.callbacks import BATCHES

KIB = 1024
SIZES = {"64": 64, "1k": KIB, "10k": 10 * KIB, "100k": 100 * KIB}
ZERO_COPY_SIZES = {
    "1k": KIB,
    "16k": 16 * KIB,
    "64k": 64 * KIB,
    "256k": 256 * KIB,
    "1m": 1024 * KIB,
}


@dataclass(frozen=True)
class Scenario:
    """One measurement: a server, the client that loads it, and how much it does at a time."""

    name: str
    group: str
    server: str = "echo"  # a kind of servers.py, or of the module that is under test
    client: str = "echo"  # a mode of the C client
    connections: int = 1
    size: int = 64  # an operation is one message of this size; in the source its block
    depth: int = 1  # messages in flight on one connection; in one-way UDP groups of them
    transport: str = "tcp"  # or "unix", "tls", "udp"
    wrk: bool = False  # driven by wrk where it is installed
    idle: int = 0  # more connections, which do nothing
    segmented: bool = False  # UDP_SEGMENT and UDP_GRO, where the loop has them
    module: str = "servers"  # or one that measures itself: "callbacks", "clients", "children"

    @property
    def is_served(self) -> bool:
        """Whether a server is under test, which the C client measures."""
        return self.module == "servers"


def _named(template: Scenario, *shapes: str) -> list[Scenario]:
    """Make a scenario of the template for each shape, such as `10k-100`: size and connections."""
    found = []
    for shape in shapes:
        size, connections = shape.split("-")
        found.append(
            replace(
                template,
                name=f"{template.name}-{shape}",
                size=SIZES[size],
                connections=int(connections),
            )
        )
    return found


def _http(name: str, server: str, connections: int) -> Scenario:
    return Scenario(name, "http", server, "http", connections=connections, wrk=True)


# In one-way UDP half as many datagrams are under way as a default receive buffer holds.
UDP = [
    Scenario("udp-64", "udp", "udp", "datagram", transport="udp", connections=10, depth=10),
    Scenario("udp-64-1", "udp", "udp", "datagram", transport="udp"),
    # 50 in flight are what a socket's default receive buffer holds of this size, with the overhead.
    Scenario(
        "udp-1k", "udp", "udp", "datagram", transport="udp", connections=10, depth=5, size=KIB
    ),
    Scenario(
        "udp-1400", "udp", "udp", "datagram", transport="udp", connections=10, depth=5, size=1400
    ),
    *(
        Scenario(
            f"udp-{way}{f'-{segmented}' if segmented else ''}-{size}",
            "udp",
            f"udp-{way}",
            f"datagram-{way}",
            size=size,
            depth=8 if size == 64 else 4,
            transport="udp",
            segmented=bool(segmented),
        )
        for way, offload in (("sink", "gro"), ("source", "gso"))
        for segmented in ("", offload)
        for size in (64, 1400)
    ),
]

SCENARIOS = [
    *_named(
        Scenario("echo", "echo"), *(f"{size}-{n}" for size in SIZES for n in (1, 10, 100, 1000))
    ),
    Scenario("echo-pipelined", "echo", connections=10, depth=16),
    Scenario("client-1k-100", "client", connections=100, size=KIB, module="clients"),
    *_named(Scenario("buffered", "buffered", "buffered-echo"), "64-100", "100k-10"),
    *(_http(f"http-{connections}", "http", connections) for connections in (1, 64, 256)),
    Scenario("http-pipelined", "http", "http", "http", connections=64, depth=8),
    _http("uvicorn-64", "uvicorn", 64),
    _http("aiohttp-64", "aiohttp", 64),
    *_named(Scenario("streams", "streams", "streams"), "64-1", "64-100", "10k-10"),
    # A contestant may have streams of its own; others use asyncio's.
    *_named(Scenario("own-streams", "streams", "own-streams"), "64-1", "64-100", "10k-10"),
    *UDP,
    Scenario("sink-64k", "bulk", "sink", "sink", connections=4, size=64 * KIB),
    Scenario("sink-1m", "bulk", "sink", "sink", connections=4, size=1024 * KIB),
    Scenario("sink-64k-1", "bulk", "sink", "sink", connections=1, size=64 * KIB),
    Scenario("source-64k", "bulk", "source", "source", connections=4, size=64 * KIB),
    Scenario("source-1m", "bulk", "source", "source", connections=4, size=1024 * KIB),
    Scenario("sendfile-1m", "bulk", "sendfile", "source", connections=4, size=1024 * KIB),
    *_named(Scenario("unix", "unix", transport="unix"), "64-100", "10k-10"),
    *_named(Scenario("tls", "tls", transport="tls"), "64-100", "1k-100", "10k-10", "100k-10"),
    *_named(Scenario("sock", "sock", "sock"), "64-1", "64-100", "10k-10"),
    Scenario("churn", "churn", client="churn", connections=10),
    Scenario("churn-unix", "churn", client="churn", connections=10, transport="unix"),
    Scenario("churn-client", "churn", "churn", connections=10, module="clients"),
    Scenario("subprocess-spawn", "children", "spawn", module="children"),
    Scenario("pipe-read", "children", "pipe", size=64 * KIB, module="children"),
    Scenario("idle-10000", "idle", connections=10, idle=10_000),
    *(Scenario(name, "callbacks", name, module="callbacks") for name in BATCHES),
    *(
        Scenario(f"zero-copy-{kind}-{size}", "zero-copy", kind, client, 10, bytes_)
        for kind, client in (("sink", "sink"), ("echo", "echo"), ("proxy", "echo"))
        for size, bytes_ in ZERO_COPY_SIZES.items()
    ),
]

# One of each kind. `python -m bench` measures these.
FLOOR = (
    "echo-64-100",
    "echo-10k-10",
    "echo-100k-10",
    "http-64",
    "streams-64-100",
    "udp-64",
    "call-soon-chain",
)
