"""What the kernel does for a loop. A loop tries it: the version of a kernel does not tell."""

from __future__ import annotations

import asyncio
import functools
import socket
import struct

import zcloop
from zcloop.sync import Semaphore

TURNS = 10  # in which the kernel has answered
UDP_SEGMENT, UDP_GRO = 103, 104


@functools.cache
def waits_for_futexes() -> bool:
    """Whether a ring waits for a futex itself (IORING_OP_FUTEX_WAIT, since Linux 6.7)."""

    async def wait() -> bool:
        semaphore = Semaphore(0)
        task = asyncio.create_task(semaphore.acquire())
        for _ in range(TURNS):
            await asyncio.sleep(0)
        semaphore.release()
        await task
        loop = asyncio.get_running_loop()
        assert isinstance(loop, zcloop.Loop)
        return bool(loop.channel.has_futex_wait)

    return zcloop.run(wait())


@functools.cache
def loopback_keeps_segments() -> bool:
    """Whether datagrams that leave together arrive together on loopback, as from Linux 5.11 on."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
    ):
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(1)
        receiver.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
        size = [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("=H", 1))]
        try:
            sender.sendmsg([b"01"], size, 0, receiver.getsockname())
        except OSError:
            return False  # as some sandboxes answer
        return receiver.recv(2) == b"01"
