"""A display that is slower than its sensors: it shows the newest readings, not the oldest.

    python examples/udp_latest.py --port 9998
    for i in $(seq 1000); do echo reading $i; done | nc -u -w1 127.0.0.1 9998

Each reading takes a while to draw. With the policy "latest" a reading that is drawn is one of the
newest --depth ones, also when they came while the last one was being drawn; --policy all shows what
happens otherwise: the kernel keeps the oldest and drops what comes later.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import time
from typing import Any

import zcloop


class Display(zcloop.ZeroCopyDatagramProtocol):
    """Draws readings; drawing keeps Python busy, as computing does."""

    def __init__(self, draw_seconds: float) -> None:
        self.draw_seconds = draw_seconds

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_buffer_received(self, view: memoryview, address: tuple) -> None:
        with view:
            text = bytes(view).decode(errors="replace").rstrip()
        time.sleep(self.draw_seconds)
        print(f"{text} ({self.transport.dropped} gave way)", flush=True)


async def show(options: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)

    transport, _ = await loop.create_datagram_endpoint(
        lambda: Display(options.draw_seconds), local_addr=(options.host, options.port)
    )
    transport.set_receive_policy(options.policy, depth=options.depth)
    host, port = transport.get_extra_info("sockname")[:2]
    print(f"listening on {host}:{port}", flush=True)
    await stop.wait()
    transport.close()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--host", default="127.0.0.1")
    options.add_argument("--port", type=int, default=0, help="0, the default, takes any free port")
    options.add_argument("--policy", choices=("latest", "all"), default="latest")
    options.add_argument("--depth", type=int, default=3, help="how many readings are kept")
    options.add_argument("--draw-seconds", type=float, default=0.1)
    zcloop.run(show(options.parse_args()))


if __name__ == "__main__":
    main()
