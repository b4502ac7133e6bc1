"""A UDP echo server: every datagram goes back to the address it came from.

    python examples/udp_server.py --port 9999
    echo hello | nc -u -w1 127.0.0.1 9999

The same program on another loop:

    python examples/udp_server.py --port 9999 --loop asyncio:new_event_loop
"""

from __future__ import annotations

import argparse
import asyncio
import pkgutil
import signal


class Echo(asyncio.DatagramProtocol):
    """The one socket. While the kernel cannot take more, answers are dropped, as UDP allows."""

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self.transport = transport
        self.writable = True

    def datagram_received(self, data: bytes, address: tuple) -> None:
        # Without this test the transport would queue answers without bound.
        if self.writable:
            self.transport.sendto(data, address)

    def pause_writing(self) -> None:
        self.writable = False

    def resume_writing(self) -> None:
        self.writable = True

    def error_received(self, error: OSError) -> None:
        """A client that is gone is reported here (ICMP); the others are still to be served."""


async def serve(host: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)

    transport, _ = await loop.create_datagram_endpoint(Echo, local_addr=(host, port))
    host, port = transport.get_extra_info("sockname")[:2]
    print(f"listening on {host}:{port}", flush=True)
    await stop.wait()
    transport.close()


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
