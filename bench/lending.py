"""The servers under test as zcloop's ZeroCopyProtocol. It gets views, and releases them at once.

What is written stays lent until it is sent. To release the view ends only the protocol's own use.
"""

from __future__ import annotations

from typing import Any

import zcloop
from bench.proxies import Forwarding


class ZeroCopyEcho(zcloop.ZeroCopyProtocol):
    """Writes back what it gets."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def buffer_received(self, view: memoryview) -> None:
        self.transport.write(view)
        view.release()


class ZeroCopySink(zcloop.ZeroCopyProtocol):
    """Counts what it gets, and sends the number at the end: eight bytes, little endian."""

    def __init__(self) -> None:
        self.received = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def buffer_received(self, view: memoryview) -> None:
        self.received += len(view)
        view.release()

    def eof_received(self) -> None:
        self.transport.write(self.received.to_bytes(8, "little"))


class ZeroCopySide(Forwarding, zcloop.ZeroCopyProtocol):
    """Forwards views."""

    def buffer_received(self, view: memoryview) -> None:
        self.other.write(view)
        view.release()
