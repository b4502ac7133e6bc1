"""One server under test: `python -m bench.servers KIND --loop MODULE:FACTORY [--port P] [...]`.

A kind may say which protocol: `echo`, `buffered-echo` and `zero-copy-echo` do the same.

It prints `listening on HOST:PORT` (or the path of a Unix socket) when it is ready, and serves until
it is killed. It makes the listening socket and passes it as `sock=`, so all loops get the same.
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

from bench import datagrams, protocols
from bench.applications import serve_aiohttp, serve_uvicorn
from bench.loops import free_large_block, new_loop

BACKLOG = 4096
RECEIVE_BUFFER = 4 << 20  # bytes asked for where datagrams come in one direction
# Imported when named, since zcloop need not be installed where another loop is measured.
FACTORIES = {
    "echo": "bench.protocols:Echo",
    "http": "bench.protocols:HttpHello",
    "sink": "bench.protocols:Sink",
    "source": "bench.protocols:Source",
    "sendfile": "bench.protocols:FileSource",
    "proxy": "bench.proxies:Side",
    "buffered-echo": "bench.protocols:BufferedEcho",
    "buffered-sink": "bench.protocols:BufferedSink",
    "buffered-proxy": "bench.proxies:BufferedSide",
    "zero-copy-echo": "bench.lending:ZeroCopyEcho",
    "zero-copy-sink": "bench.lending:ZeroCopySink",
    "zero-copy-proxy": "bench.lending:ZeroCopySide",
}
DATAGRAM_KINDS = ("udp", "udp-sink", "udp-source")
APPLICATIONS = {"uvicorn": serve_uvicorn, "aiohttp": serve_aiohttp}
NEEDS = {"http": "httptools", "uvicorn": "uvicorn", "aiohttp": "aiohttp"}
KINDS = (*FACTORIES, *DATAGRAM_KINDS, *APPLICATIONS, "streams", "own-streams", "sock")


def open_socket(arguments: argparse.Namespace) -> socket.socket:
    """Make the bound socket to serve. A stream socket listens already."""
    if arguments.unix:
        opened = socket.socket(socket.AF_UNIX)
        opened.bind(arguments.unix)
        opened.listen(BACKLOG)
    elif arguments.kind in DATAGRAM_KINDS:
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        if arguments.kind == "udp-sink":
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        opened.bind((arguments.host, arguments.port))
    else:
        # asyncio sets TCP_NODELAY only on a socket that has its protocol number.
        opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        opened.bind((arguments.host, arguments.port))
        opened.listen(BACKLOG)
    opened.setblocking(False)
    return opened


def protocol_factory(arguments: argparse.Namespace) -> Callable[[], asyncio.BaseProtocol]:
    """Return the factory of the connections' protocol. A proxy's also knows where to connect to,
    and a source's how much it sends at a time."""
    kind, size = arguments.kind, arguments.size
    factory: Callable[..., asyncio.BaseProtocol] = pkgutil.resolve_name(FACTORIES[kind])
    if kind in ("source", "sendfile"):
        return functools.partial(factory, max(size, protocols.SOURCE_BLOCK))
    if not kind.endswith("proxy"):
        return factory
    host, _, port = arguments.backend.rpartition(":")
    return functools.partial(factory, (host, int(port)))


def datagram_factory(arguments: argparse.Namespace) -> Callable[[], asyncio.DatagramProtocol]:
    """Return the factory of a datagram socket's protocol."""
    size, depth, is_segmented = arguments.size, arguments.depth, arguments.segmented
    if arguments.kind == "udp-sink":
        return lambda: datagrams.DatagramSink(size, is_segmented)
    if arguments.kind == "udp-source":
        return lambda: datagrams.SourceStarter(size, depth, is_segmented)
    return protocols.DatagramEcho


def streams_starter(arguments: argparse.Namespace, is_unix: bool) -> Any:
    """Return start_server of asyncio, or of the loop's own package if that is asked for."""
    package = arguments.loop.partition(":")[0]
    if arguments.kind == "own-streams" and package == "zcloop":
        starter = getattr(importlib.import_module(package), "start_server", None)
        if starter is None:
            raise SystemExit("zcloop.start_server is not there in the installed version")
        return starter
    return asyncio.start_unix_server if is_unix else asyncio.start_server


async def start(
    arguments: argparse.Namespace, opened: socket.socket, tls: ssl.SSLContext | None
) -> Any:
    """Start to serve. The caller has to keep what is returned."""
    loop = asyncio.get_running_loop()
    kind = arguments.kind
    is_unix = opened.family == socket.AF_UNIX
    options: dict[str, Any] = {"sock": opened, "backlog": BACKLOG}
    if tls:
        options["ssl"] = tls
    if kind in DATAGRAM_KINDS:
        return await loop.create_datagram_endpoint(datagram_factory(arguments), sock=opened)
    if kind in APPLICATIONS:
        return await APPLICATIONS[kind](opened)
    if kind == "sock":
        return loop.create_task(protocols.accept_sockets(opened))
    if kind.endswith("streams"):
        start_server = streams_starter(arguments, is_unix)
        return await start_server(protocols.echo_stream, **options)
    create_server: Any = loop.create_unix_server if is_unix else loop.create_server
    return await create_server(protocol_factory(arguments), **options)


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
    parser.add_argument("--size", type=int, default=64, help="of a message, where it matters")
    parser.add_argument("--depth", type=int, default=1, help="groups of datagrams under way")
    parser.add_argument("--segmented", action="store_true", help="UDP_GRO and UDP_SEGMENT")
    parser.add_argument("--fresh", action="store_true", help="keep glibc's mmap threshold as is")
    arguments = parser.parse_args()
    needed = NEEDS.get(arguments.kind)
    if needed and not importlib.util.find_spec(needed):
        parser.exit(2, f"this server needs the package {needed}\n")
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
    address = opened.getsockname()  # now, since some loops take the descriptor away
    kept = loop.run_until_complete(start(arguments, opened, tls))
    place = address if isinstance(address, str) else f"{address[0]}:{address[1]}"
    print(f"listening on {place}", flush=True)
    loop.run_forever()
    del kept


if __name__ == "__main__":
    main()
