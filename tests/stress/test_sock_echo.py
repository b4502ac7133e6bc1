"""Requests and answers by sock_*: the kernel's work arrives while polls are taken back."""

import asyncio
import contextlib
import os
import select

import pytest
from peers import payload, tcp_pair
from waits import child

CONNECTIONS = 10
STUCK_SECONDS = 10
ROUND_TRIPS = int(os.environ.get("ZCLOOP_ROUND_TRIPS", "60000"))


def ask(sockets, message, count):
    """Keep one request in flight on each connection, from a process on a core of its own."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    poll = select.epoll()
    by_fd = {sock.fileno(): sock for sock in sockets}
    left = dict.fromkeys(by_fd, 0)
    for fd in by_fd:
        poll.register(fd, select.EPOLLIN)
        left[fd] = len(message)
        by_fd[fd].sendall(message)
    while count > 0:
        ready = poll.poll(STUCK_SECONDS)
        assert ready, f"no answer, and {count} to go"
        for fd, _ in ready:
            left[fd] -= len(by_fd[fd].recv(left[fd]))
            if left[fd] == 0:
                left[fd] = len(message)
                count -= 1
                by_fd[fd].sendall(message)


@pytest.mark.seconds(60)
async def test_every_request_is_answered():
    """The kernel may leave its hint that it has work when there is none."""
    loop = asyncio.get_running_loop()
    message = payload(10_240)

    async def answer(sock):
        sock.setblocking(False)
        with contextlib.suppress(ConnectionError):  # the other side has had enough
            while data := await loop.sock_recv(sock, 1 << 18):
                await loop.sock_sendall(sock, data)

    with contextlib.ExitStack() as stack:
        ends = [stack.enter_context(tcp_pair()) for _ in range(CONNECTIONS)]

        def run():
            for _, ours in ends:
                ours.close()
            ask([theirs for theirs, _ in ends], message, ROUND_TRIPS)

        with child(run):
            for theirs, _ in ends:
                theirs.close()
            await asyncio.gather(*(answer(ours) for _, ours in ends))
