"""The servers under test that take, or send, datagrams in one direction (client/one_way.c)."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from bench.protocols import pattern

GROUP = 32  # datagrams for which one answer goes back; client/client.h has both numbers, too
GROUPS = 16  # with different content, before the first comes again
PATTERN_PERIOD = 4093


def contents(count: int, size: int) -> list[bytes]:
    """Make the first datagrams of an endless row, as pattern() in client/client.c does."""
    block = pattern(size + PATTERN_PERIOD)
    return [block[number * 61 % PATTERN_PERIOD :][:size] for number in range(count)]


class DatagramSink(asyncio.DatagramProtocol):
    """Compares each datagram, and sends the last of each group back. A new client comes when the
    one before has all its answers, and begins the row again."""

    def __init__(self, size: int, is_segmented: bool) -> None:
        self.groups = contents(GROUPS, size)
        self.is_segmented = is_segmented
        self.client: Any = None
        self.begin()

    def begin(self) -> None:
        self.group = 0
        self.expected = self.groups[0]
        self.left = GROUP

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        if self.is_segmented and hasattr(transport, "set_segmented_receive"):
            transport.set_segmented_receive(True)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if data != self.expected:
            self.check_client(data, addr)
        self.left -= 1
        if not self.left:
            self.left = GROUP
            self.group = (self.group + 1) % GROUPS
            self.expected = self.groups[self.group]
            self.transport.sendto(data, addr)

    def check_client(self, data: bytes, addr: Any) -> None:
        """End the process, unless this is the first datagram of another client."""
        if addr == self.client or self.left != GROUP or data != self.groups[0]:
            print("a datagram with wrong content, or one was lost", file=sys.stderr)
            os._exit(1)
        self.client = addr
        self.begin()


class DatagramSource(asyncio.DatagramProtocol):
    """Sends a group for each datagram that comes, from a connected socket. At first it sends as
    many groups as may be under way."""

    def __init__(self, size: int, depth: int, is_segmented: bool) -> None:
        row = contents(GROUP * GROUPS, size)
        self.groups = [row[start : start + GROUP] for start in range(0, len(row), GROUP)]
        self.next = 0
        self.depth = depth
        self.is_segmented = is_segmented

    def connection_made(self, transport: Any) -> None:
        self.sendto = transport.sendto
        self.sendto_many: Any = getattr(transport, "sendto_many", None)
        for _ in range(self.depth):
            self.datagram_received(b"", None)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        group = self.groups[self.next]
        self.next = (self.next + 1) % GROUPS
        if self.is_segmented and self.sendto_many:
            self.sendto_many(group)
            return
        sendto = self.sendto
        for datagram in group:
            sendto(datagram)


class SourceStarter(asyncio.DatagramProtocol):
    """Makes a source for each datagram that comes, connected to the sender."""

    def __init__(self, size: int, depth: int, is_segmented: bool) -> None:
        self.options = size, depth, is_segmented
        self.sources: list[asyncio.Task[Any]] = []

    def datagram_received(self, data: bytes, addr: Any) -> None:
        loop = asyncio.get_running_loop()
        source = loop.create_datagram_endpoint(
            lambda: DatagramSource(*self.options), remote_addr=addr[:2]
        )
        self.sources.append(loop.create_task(source))
