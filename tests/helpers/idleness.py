"""States in which something waits: a loop has to sleep in each, and to go on afterwards.

The counter of turns must stand still for 0.3 seconds, or for ZCLOOP_IDLE_SECONDS of the
environment: 1 is what zcloop promises.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from peers import io_passed, payload, tcp_pair
from recording import Recorder

IDLE_SECONDS = float(os.environ.get("ZCLOOP_IDLE_SECONDS", "0.3"))
# A timer needs one turn: the one that sleeps until it is due.
TURNS_OF_A_TIMER = 1
TURNS_MAX = 20
SETTLED_SECONDS = 0.02
TRIES_TO_SETTLE = 50
DATA = payload(2_000_000)
SMALL_BUFFER = 65536
# Software timestamps of what is sent fill a socket's queue of errors.
TIMESTAMPS = 1 << 1 | 1 << 4 | 1 << 11
SO_TIMESTAMPING = 37
MSG_ERRQUEUE = 0x2000
IP_RECVERR = 11

End = Callable[[], Awaitable[Any]]
State = Callable[[], AsyncIterator[End]]


class States(dict[str, Any]):
    """The states of one test file, by their names."""

    def add(self, function: State) -> State:
        """A generator that yields in the state, and what then ends the waiting and checks that."""
        self[function.__name__.replace("_", " ")] = contextlib.asynccontextmanager(function)
        return function

    async def check(self, name: str) -> None:
        """Fail if the loop turns in this state, or does not go on after it."""
        async with self[name]() as end:
            await settled()
            turns = await turns_in(IDLE_SECONDS)
            if turns != TURNS_OF_A_TIMER:
                # TCP asks a peer without a window again after 0.2 s, and may find a little room.
                assert turns < TURNS_MAX
                assert await turns_in(IDLE_SECONDS) == TURNS_OF_A_TIMER
            await end()


async def turns_in(seconds: float) -> int:
    loop: Any = asyncio.get_running_loop()
    before: int = loop.statistics()["turns"]
    await asyncio.sleep(seconds)
    after: int = loop.statistics()["turns"]
    return after - before


async def settled() -> None:
    """Return when nothing goes on any more: everything that was begun waits for something."""
    await io_passed()
    for _ in range(TRIES_TO_SETTLE):
        if await turns_in(SETTLED_SECONDS) == TURNS_OF_A_TIMER:
            return
    raise AssertionError(f"{await turns_in(SETTLED_SECONDS)} turns in {SETTLED_SECONDS} s")


@contextlib.contextmanager
def narrow_tcp() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected TCP sockets with small buffers."""
    with tcp_pair() as pair:
        for sock in pair:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        yield pair


def half_close(sock: socket.socket) -> None:
    sock.shutdown(socket.SHUT_WR)


def has_error(sock: socket.socket, timeout_ms: int = 0) -> bool:
    """Whether poll(2) reports an error for the socket."""
    poller = select.poll()
    poller.register(sock, 0)  # which is for errors alone
    found = poller.poll(timeout_ms)
    return bool(found and found[0][1] & select.POLLERR)


def keep_errors(sock: socket.socket) -> None:
    """Put something into the socket's queue of errors, which nobody takes out."""
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, TIMESTAMPS)
    sock.send(b"x")
    assert has_error(sock, 5000)


def udp_socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock


def keep_a_refusal(sock: socket.socket) -> None:
    """Put into a UDP socket's queue of errors that nobody listens where it sent to."""
    sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    with udp_socket() as nobody:
        address = nobody.getsockname()
    sock.sendto(b"x", address)
    with contextlib.suppress(ConnectionRefusedError):
        sock.recv(1)  # the error itself; its queue keeps it
        raise AssertionError("it was not refused")
    assert has_error(sock)


@contextlib.asynccontextmanager
async def under_way(call: Callable[..., Any], *arguments: Any) -> AsyncIterator[asyncio.Task[Any]]:
    """Run this coroutine function as a task. If it has not ended, it is cancelled at the end."""
    task: asyncio.Task[Any] = asyncio.ensure_future(call(*arguments))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Open(Recorder):
    """A recorder that stays open after the peer's end of file."""

    keep_open = True
