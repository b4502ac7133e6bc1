"""A server without asyncio: one select() over one event channel, for network, disk and timer.

    python examples/event_channel.py --port 9997 --journal /tmp/journal
    printf 'remember me' | nc -q1 127.0.0.1 9997

Each message goes to the end of a journal, to the disk, and only then back to who sent it: three
requests that one system call links, so that an answer means that the message is safe. Ctrl-C, or
SIGTERM, is an event as well.
"""

from __future__ import annotations

import argparse
import pathlib
import select
import signal
import socket

import zcloop
from zcloop import requests

MESSAGE_SIZE = 65536


class Journal:
    """Writes down what its clients send."""

    def __init__(self, channel: zcloop.EventChannel, path: pathlib.Path, seconds: float) -> None:
        self.channel = channel
        self.file = path.open("ab", buffering=0)
        self.seconds = seconds
        self.messages = 0
        self.clients: set[socket.socket] = set()

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.file.close()

    def handle(self, event: zcloop.Event) -> bool:
        """Go on after one event; false to stop."""
        if event.type == "accept":
            client = socket.socket(fileno=event.check())
            self.clients.add(client)
            self.channel.recv(client, buffer := bytearray(MESSAGE_SIZE), data=buffer)
            self.channel.accept(event.source)
        elif event.type == "recv" and event.result:
            self.remember(event.source, event.data, event.result)
        elif event.type == "send" and not event.errno:
            self.messages += 1
            self.channel.recv(event.source, event.data, data=event.data)
        elif event.type in ("recv", "send"):  # the client has gone, or the disk is full
            self.clients.discard(event.source)
            event.source.close()
        elif event.type == "timeout":
            self.report()
        return event.type != "post"

    def remember(self, client: socket.socket, buffer: bytearray, size: int) -> None:
        message = memoryview(buffer)[:size]
        batch = [
            requests.write(self.file, message),
            requests.fsync(self.file, data_only=True),
            requests.send(client, message, socket.MSG_WAITALL, data=buffer),
        ]
        self.channel.submit(batch, mode="linked")

    def report(self) -> None:
        calls = self.channel.statistics()["system_calls"]
        print(f"{self.messages} messages, {calls} system calls to ask and none to hear", flush=True)
        self.channel.timeout(self.seconds)


def serve(options: argparse.Namespace) -> None:
    with (
        zcloop.EventChannel() as channel,
        socket.create_server((options.host, options.port)) as listener,
    ):
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: channel.post("stop"))
        print(f"listening on {options.host}:{listener.getsockname()[1]}", flush=True)
        journal = Journal(channel, options.journal, options.report_seconds)
        channel.accept(listener)
        channel.timeout(options.report_seconds)
        is_going = True
        while is_going:
            select.select([channel], [], [])  # a program may have other descriptors beside it
            is_going = all(journal.handle(event) for event in channel.events())
    journal.close()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--host", default="127.0.0.1")
    options.add_argument("--port", type=int, default=0, help="0, the default, takes any free port")
    options.add_argument("--journal", type=pathlib.Path, required=True)
    options.add_argument("--report-seconds", type=float, default=10)
    serve(options.parse_args())


if __name__ == "__main__":
    main()
