"""One server under test: `python -m bench.servers KIND --loop MODULE:FACTORY [--port P] [...]`.

A kind may say which protocol: `echo`, `buffered-echo` and `zero-copy-echo` do the same.

Prints `listening on HOST:PORT` (or the path of a Unix socket) when it is ready, and serves until
it is killed. The listening socket is made here and passed as `sock=`: all loops get the same.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import importlib.util
import pkgutil
import socket
import ssl
from collections.abc import Callable
from typing import Any

from bench import protocols
from bench.loops import free_large_block, new_loop

BACKLOG = 4096
# By name, for zcloop need not be installed where another loop is measured.
FACTORIES = {
    "echo": "bench.protocols:Echo",
    "http": "bench.protocols:HttpHello",
    "sink": "bench.protocols:Sink",
    "source": "bench.protocols:Source",
    "proxy": "bench.proxies:Side",
    "buffered-echo": "bench.protocols:BufferedEcho",
    "buffered-sink": "bench.protocols:BufferedSink",
    "buffered-proxy": "bench.proxies:BufferedSide",
    "zero-copy-echo": "bench.lending:ZeroCopyEcho",
    "zero-copy-sink": "bench.lending:ZeroCopySink",
    "zero-copy-proxy": "bench.lending:ZeroCopySide",
}
KINDS = (*FACTORIES, "streams", "sock", "udp")


def open_socket(arguments: argparse.Namespace) -> socket.socket:
    """The bound socket to serve, already listening when it is a stream."""
    if arguments.unix:
        opened = socket.socket(socket.AF_UNIX)
        opened.bind(arguments.unix)
        opened.listen(BACKLOG)
    elif arguments.kind == "udp":
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        opened.bind((arguments.host, arguments.port))
    else:
        # With its protocol number, by which asyncio knows that TCP_NODELAY may be set.
        opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        opened.bind((arguments.host, arguments.port))
        opened.listen(BACKLOG)
    opened.setblocking(False)
    return opened


def protocol_factory(kind: str, backend: str) -> Callable[[], asyncio.BaseProtocol]:
    """What makes the protocol of each connection; a proxy's also knows where to connect to."""
    factory: Callable[..., asyncio.BaseProtocol] = pkgutil.resolve_name(FACTORIES[kind])
    if not kind.endswith("proxy"):
        return factory
    host, _, port = backend.rpartition(":")
    return functools.partial(factory, (host, int(port)))


async def start(
    kind: str, opened: socket.socket, tls: ssl.SSLContext | None, backend: str = ""
) -> Any:
    """Start to serve; what is returned must be kept."""
    loop = asyncio.get_running_loop()
    is_unix = opened.family == socket.AF_UNIX
    options: dict[str, Any] = {"sock": opened, "backlog": BACKLOG}
    if tls:
        options["ssl"] = tls
    if kind == "udp":
        return await loop.create_datagram_endpoint(protocols.DatagramEcho, sock=opened)
    if kind == "sock":
        return loop.create_task(protocols.accept_sockets(opened))
    if kind == "streams":
        start_server: Any = asyncio.start_unix_server if is_unix else asyncio.start_server
        return await start_server(protocols.echo_stream, **options)
    create_server: Any = loop.create_unix_server if is_unix else loop.create_server
    return await create_server(protocol_factory(kind, backend), **options)


def main() -> None:
    """Serve what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--loop", default="asyncio:new_event_loop")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--unix", metavar="PATH")
    parser.add_argument("--certificate", metavar="PEM", help="serve TLS with this certificate")
    parser.add_argument("--backend", metavar="HOST:PORT", help="what the proxy is in front of")
    parser.add_argument("--fresh", action="store_true", help="keep glibc's mmap threshold as is")
    arguments = parser.parse_args()
    if arguments.kind == "http" and not importlib.util.find_spec("httptools"):
        parser.exit(2, "the HTTP server needs the package httptools\n")
    if arguments.kind.endswith("proxy") and not arguments.backend:
        parser.exit(2, "a proxy needs --backend\n")
    if not arguments.fresh:
        free_large_block()
    tls = None
    if arguments.certificate:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(arguments.certificate)
    loop = new_loop(arguments.loop)
    opened = open_socket(arguments)
    address = opened.getsockname()  # now, for some loops take the descriptor away
    kept = loop.run_until_complete(start(arguments.kind, opened, tls, arguments.backend))
    place = address if isinstance(address, str) else f"{address[0]}:{address[1]}"
    print(f"listening on {place}", flush=True)
    loop.run_forever()
    del kept


if __name__ == "__main__":
    main()
