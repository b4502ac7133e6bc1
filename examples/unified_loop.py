"""Six kinds of events, one descriptor, one select(): the loop of a program that has no other.

    python examples/unified_loop.py --rounds 2 --seconds 0.1

In each round the program asks for a message on a socket, a piece of a file, a token of a semaphore
in shared memory, a message of a POSIX queue, the end of a child process, and a timer: six
requests, and one system call to make them. The child sends, posts and ends; the events come as
they happen, through one fd, and no thread waits for any of them.
"""

from __future__ import annotations

import argparse
import contextlib
import mmap
import os
import pathlib
import select
import socket
import threading
from typing import Any

import zcloop
from zcloop import requests
from zcloop.message_queues import PosixQueue
from zcloop.sync import Semaphore

MESSAGE_SIZE = 64


class Work:
    """What the program shares with its children, and waits for."""

    def __init__(self, stack: contextlib.ExitStack, path: pathlib.Path) -> None:
        self.file = stack.enter_context(path.open("rb", buffering=0))
        self.here, self.there = (stack.enter_context(each) for each in socket.socketpair())
        memory = mmap.mmap(-1, Semaphore.SIZE)
        self.semaphore = stack.enter_context(contextlib.closing(Semaphore(0, buffer=memory)))
        name = f"/unified-loop-{os.getpid()}"
        queue = PosixQueue(name, create=True, exclusive=True, maxmsg=1, msgsize=MESSAGE_SIZE)
        self.queue = stack.enter_context(queue)
        self.queue.unlink()  # the children have it already: they are forked

    def begin(self, number: int, seconds: float) -> list[requests.EventRequest]:
        """A round: a child that works, and a request of each kind."""
        pid = os.fork()
        if pid == 0:
            self.work(number)
        message, piece = bytearray(MESSAGE_SIZE), bytearray(MESSAGE_SIZE)
        return [
            requests.recv(self.here, message, data=message),
            requests.read(self.file, piece, 0, data=piece),
            requests.wait_for(self.semaphore, type="semaphore"),
            requests.wait_for(self.queue, type="queue"),
            requests.wait_child(pid),
            requests.timeout(seconds),
        ]

    def work(self, number: int) -> None:
        """The child's part."""
        status = 1
        try:
            self.there.send(b"hello from child %d" % number)
            self.semaphore.release()
            self.queue.try_send(b"job %d" % number, priority=number)
            status = 0
        finally:
            os._exit(status)


def describe(event: zcloop.Event) -> str:
    result: Any = event.check()
    match event.type:
        case "recv":
            return f"socket: {event.data[:result].decode()}"
        case "read":
            return f"file: {result} bytes"
        case "semaphore":
            return "semaphore: took a token"
        case "queue":
            message, priority = result
            return f"queue: {message.decode()}, priority {priority}"
        case "wait_child":
            return f"child: exit status {result.si_status}"
        case _:
            return f"timer: {event.source} s are over"


def run(options: argparse.Namespace) -> None:
    events = waits = 0
    with contextlib.ExitStack() as stack:
        work = Work(stack, options.file)
        channel = stack.enter_context(zcloop.EventChannel())
        for number in range(1, options.rounds + 1):
            pending = channel.submit(work.begin(number, options.seconds))
            while any(request.is_pending for request in pending):
                select.select([channel], [], [])  # sleeps until one of the six has happened
                waits += 1
                for event in channel.events():
                    events += 1
                    print(f"round {number}, {describe(event)}", flush=True)
    print(f"{events} events, {waits} waits, threads: {threading.active_count()}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--rounds", type=int, default=2)
    options.add_argument("--seconds", type=float, default=0.1, help="of the timer")
    options.add_argument("--file", type=pathlib.Path, default=__file__)
    run(options.parse_args())


if __name__ == "__main__":
    main()
