"""udp_server.py returns datagrams to their senders, also after a client has gone."""

from __future__ import annotations

import asyncio
import random
import signal
import socket

import pytest
from example_programs import bounded, server

pytestmark = pytest.mark.filterwarnings("error")


@bounded
async def test_udp_returns_datagrams_of_every_size_to_their_senders():
    loop = asyncio.get_running_loop()
    # A default receive buffer holds three datagrams of 60,000 bytes; of four clients that each send
    # one to a busy server, the kernel drops one. So large ones go one at a time.
    large = asyncio.Lock()

    async def exchange(sock: socket.socket, address: tuple[str, int], datagram: bytes) -> None:
        await loop.sock_sendto(sock, datagram, address)
        answer, source = await loop.sock_recvfrom(sock, 65_536)
        assert (source, len(answer), answer == datagram) == (address, len(datagram), True)

    async def client(address: tuple[str, int], seed: int) -> None:
        source = random.Random(seed)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            for size in (1, 512, 1472, 9000, *(source.randrange(1, 9000) for _ in range(40))):
                await exchange(sock, address, source.randbytes(size))
            async with large:
                await exchange(sock, address, source.randbytes(60_000))

    async with server("udp_server.py") as address:
        await asyncio.gather(*(client(address, seed) for seed in range(4)))


@bounded
async def test_udp_goes_on_after_a_client_that_left_before_its_answer():
    loop = asyncio.get_running_loop()
    async with server("udp_server.py", signal.SIGTERM) as address:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
            gone.sendto(b"nobody waits for this", address)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            await loop.sock_sendto(sock, b"somebody does", address)
            assert await loop.sock_recv(sock, 100) == b"somebody does"
