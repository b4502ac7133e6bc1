"""A TCP forwarder that copies nothing: what one side sends is written to the other from the memory
that the kernel received it into.

    python examples/echo_server.py --port 8888
    python examples/zero_copy_proxy.py --port 9999 --to 127.0.0.1:8888
    printf 'hello\n' | nc -N 127.0.0.1 9999

Each side is read from no faster than the other takes it, and the end of one side's stream is
passed on while the other goes on sending. Only zcloop lends its memory: no other loop runs this.
"""

from __future__ import annotations

import argparse
import asyncio
import pkgutil
import signal

import zcloop

# How long connections that do not read may hold up the end of the program.
GRACE_SECONDS = 2.0


class Side(zcloop.ZeroCopyProtocol):
    """One of the two connections of a client: its own, or the one to the backend."""

    open: set[Side] = set()

    def __init__(self, other: Side | None = None) -> None:
        self.other = other
        self.has_ended = False

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.closed = asyncio.get_running_loop().create_future()
        self.open.add(self)

    def buffer_received(self, view: memoryview) -> None:
        # The transport holds the memory until it is sent; this view of it may go at once.
        with view:
            self.other.transport.write(view)

    def eof_received(self) -> bool:
        self.has_ended = True
        self.other.transport.write_eof()
        return not self.other.has_ended  # the side that ends second closes both

    def pause_writing(self) -> None:
        self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.open.discard(self)
        self.closed.set_result(None)
        if self.other:
            self.other.transport.close()


class Client(Side):
    """A client's connection: nothing of it is read before the backend's is there."""

    def __init__(self, backend: tuple[str, int]) -> None:
        super().__init__()
        self.backend = backend

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        transport.pause_reading()
        self.connecting = asyncio.create_task(self.connect())

    async def connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, self.other = await loop.create_connection(lambda: Side(self), *self.backend)
        except OSError:
            self.transport.abort()
        else:
            self.transport.resume_reading()


async def serve(host: str, port: int, backend: tuple[str, int]) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)

    server = await loop.create_server(lambda: Client(backend), host, port)
    host, port = server.sockets[0].getsockname()[:2]
    print(f"listening on {host}:{port}", flush=True)
    await stop.wait()

    server.close()
    for side in list(Side.open):
        side.transport.close()  # what is already written still goes out
    if Side.open:
        await asyncio.wait([each.closed for each in Side.open], timeout=GRACE_SECONDS)
    for side in list(Side.open):
        side.transport.abort()
    await server.wait_closed()


def address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--host", default="127.0.0.1")
    options.add_argument("--port", type=int, default=0, help="0, the default, takes any free port")
    options.add_argument("--to", metavar="HOST:PORT", type=address, required=True)
    options.add_argument(
        "--loop",
        metavar="MODULE:FACTORY",
        type=pkgutil.resolve_name,
        default="zcloop:new_event_loop",
    )
    chosen = options.parse_args()
    with asyncio.Runner(loop_factory=chosen.loop) as runner:
        runner.run(serve(chosen.host, chosen.port, chosen.to))


if __name__ == "__main__":
    main()
