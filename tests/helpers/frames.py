"""Frames of known content, by which a test sees that a stream loses, breaks and doubles nothing."""

from __future__ import annotations

import struct

HEAD = struct.Struct(">4sII")
MAGIC = b"\xf0zc\xf1"


def frame(number: int, size: int) -> bytes:
    return HEAD.pack(MAGIC, number, size) + bytes([number % 251]) * size


class Frames:
    """Takes a stream apart. `received` has the numbers of the frames that came whole."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.received: set[int] = set()

    def feed(self, data: bytes | memoryview) -> None:
        """Add what came next; assert that no frame is broken or comes twice."""
        self.buffer += data
        while len(self.buffer) >= HEAD.size:
            magic, number, size = HEAD.unpack_from(self.buffer)
            assert magic == MAGIC, f"a frame begins with {magic!r}"
            if len(self.buffer) < HEAD.size + size:
                return
            body = self.buffer[HEAD.size : HEAD.size + size]
            assert body == bytes([number % 251]) * size, f"frame {number} is broken"
            assert number not in self.received, f"frame {number} came twice"
            self.received.add(number)
            del self.buffer[: HEAD.size + size]
