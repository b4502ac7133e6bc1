"""The servers under test as zcloop's ZeroCopyProtocol: views in place of bytes, released at once.

What is written stays lent until it is sent: releasing the view ends only this end's use.
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
    """Counts what it gets, and says at the end how much: eight bytes, little endian."""

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
