"""Files that know how they are read, and transports while they send one."""

from __future__ import annotations

import asyncio
import io
import threading

from peers import io_passed, receive_all

# Bytes of the file: more than a socket holds.
SIZE = 8_000_000


class CountedFile(io.BytesIO):
    """Knows how often it was read, and whether it is being read."""

    begun = ended = 0

    def readinto(self, view):
        self.begun += 1
        try:
            return super().readinto(view)
        finally:
            self.ended += 1

    async def stalled(self):
        """Return when it is read no more, for the loop has other things to wait for."""
        quiet = 0
        while quiet < 10:
            before = self.begun
            await io_passed()
            quiet = quiet + 1 if before == self.begun == self.ended else 0


class SlowFile(CountedFile):
    """Is read when it is allowed to, as a disk that is slow: `asked` says that it is waited for."""

    def __init__(self, data):
        super().__init__(data)
        self.asked, self.allowed = threading.Event(), threading.Event()

    def readinto(self, view):
        self.asked.set()
        self.allowed.wait()
        return super().readinto(view)


async def started(coroutine):
    task = asyncio.ensure_future(coroutine)
    await io_passed()
    await io_passed()
    return task


def fill_up(transport):
    """Write until something is queued; how many bytes were written."""
    size = 0
    while transport.get_write_buffer_size() < 1_000_000:
        transport.write(bytes(1_000_000))
        size += 1_000_000
    return size


async def check_usable(transport, protocol, peer):
    """Reads for its protocol, and can be written to."""
    assert transport.is_reading()
    assert transport.get_protocol() is protocol
    peer.send(b"in")
    assert await protocol.received(2) == b"in"
    transport.write(b"out")
    transport.writelines([b"!"])


async def everything(transport, peer):
    transport.close()
    return await receive_all(peer)
