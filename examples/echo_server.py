"""A TCP echo server: every byte that a client sends comes back to it, in order.

    python examples/echo_server.py --port 8888
    printf 'hello\n' | nc -N 127.0.0.1 8888

The same program on another loop:

    python examples/echo_server.py --port 8888 --loop asyncio:new_event_loop
"""

from __future__ import annotations

import argparse
import asyncio
import pkgutil
import signal

# How long clients that do not read may hold up the end of the program.
GRACE_SECONDS = 2.0


class Echo(asyncio.Protocol):
    """One connection. A client that sends but does not read is no longer read from."""

    open: set[Echo] = set()

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.closed = asyncio.get_running_loop().create_future()
        self.open.add(self)

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)

    def pause_writing(self) -> None:
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.open.discard(self)
        self.closed.set_result(None)


async def serve(host: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)

    server = await loop.create_server(Echo, host, port)
    host, port = server.sockets[0].getsockname()[:2]
    print(f"listening on {host}:{port}", flush=True)
    await stop.wait()

    server.close()
    for connection in Echo.open:
        connection.transport.close()  # what is already written still goes out
    if Echo.open:
        await asyncio.wait([each.closed for each in Echo.open], timeout=GRACE_SECONDS)
    for connection in Echo.open:
        connection.transport.abort()
    await server.wait_closed()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--host", default="127.0.0.1")
    options.add_argument("--port", type=int, default=0, help="0, the default, takes any free port")
    options.add_argument(
        "--loop",
        metavar="MODULE:FACTORY",
        type=pkgutil.resolve_name,
        default="zcloop:new_event_loop",
    )
    chosen = options.parse_args()
    with asyncio.Runner(loop_factory=chosen.loop) as runner:
        runner.run(serve(chosen.host, chosen.port))


if __name__ == "__main__":
    main()
