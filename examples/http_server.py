"""An HTTP/1.1 server in one protocol class: keep-alive, pipelining, bodies; parsed by httptools.

    python examples/http_server.py --port 8080
    curl -i http://127.0.0.1:8080/
    curl -i --data-binary @README.md http://127.0.0.1:8080/echo
    wrk -t1 -c64 -d5 http://127.0.0.1:8080/

The same program on another loop:

    python examples/http_server.py --port 8080 --loop asyncio:new_event_loop

Requests are answered in the order in which they came: the handler does not wait for anything, so
all the answers to the requests found in one piece of input leave in one write.
"""

from __future__ import annotations

import argparse
import asyncio
import pkgutil
import signal

import httptools

BODY_SIZE_MAX = 16 * 1024 * 1024
# How long clients that do not read may hold up the end of the program.
GRACE_SECONDS = 2.0


class Http(asyncio.Protocol):
    """One connection. A client that asks but does not read is no longer read from."""

    open: set[Http] = set()

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)
        self.answers: list[bytes] = []
        self.last = False  # the answer that ends the connection is given
        self.closed = asyncio.get_running_loop().create_future()
        self.open.add(self)

    def data_received(self, data: bytes) -> None:
        if self.last:
            return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # answered as a plain request; on_message_complete made that answer the last
        except httptools.HttpParserError:
            self.answer(b"400 Bad Request", keep_alive=False)
        if self.answers:
            self.transport.writelines(self.answers)
            self.answers.clear()
        if self.last:
            self.transport.close()

    def pause_writing(self) -> None:
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.open.discard(self)
        self.closed.set_result(None)

    # What httptools calls, in this order, for each request.

    def on_message_begin(self) -> None:
        self.target = b""
        self.body: list[bytes] = []
        self.body_size = 0
        self.expects_continue = False

    def on_url(self, piece: bytes) -> None:
        self.target += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(name) == 6 and name.lower() == b"expect":
            self.expects_continue = value.lower() == b"100-continue"

    def on_headers_complete(self) -> None:
        if self.expects_continue:
            self.answers.append(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, piece: bytes) -> None:
        self.body_size += len(piece)
        if self.body_size <= BODY_SIZE_MAX:
            self.body.append(piece)
        elif not self.last:
            self.answer(b"413 Content Too Large", keep_alive=False)

    def on_message_complete(self) -> None:
        if self.last:
            return
        keep_alive = self.parser.should_keep_alive() and not self.parser.should_upgrade()
        method = self.parser.get_method()
        path = self.target.partition(b"?")[0]
        if path == b"/" and method in (b"GET", b"HEAD"):
            self.answer(b"200 OK", b"Hello, world!\n", keep_alive)
        elif path == b"/echo" and method in (b"POST", b"PUT"):
            self.answer(b"200 OK", b"".join(self.body), keep_alive)
        elif path in (b"/", b"/echo"):
            self.answer(b"405 Method Not Allowed", b"", keep_alive)
        else:
            self.answer(b"404 Not Found", b"", keep_alive)

    def answer(self, status: bytes, body: bytes = b"", keep_alive: bool = True) -> None:
        """Queue one answer; `data_received` writes it and, when it is the last, closes."""
        if not keep_alive:
            self.last = True
            connection = b"Connection: close\r\n"
        elif self.parser.get_http_version() == "1.0":
            connection = b"Connection: keep-alive\r\n"
        else:
            connection = b""
        self.answers.append(
            b"HTTP/1.1 %b\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n%b\r\n"
            % (status, len(body), connection)
        )
        if body and self.parser.get_method() != b"HEAD":
            self.answers.append(body)


async def serve(host: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)

    server = await loop.create_server(Http, host, port, backlog=1024)
    host, port = server.sockets[0].getsockname()[:2]
    print(f"listening on {host}:{port}", flush=True)
    await stop.wait()

    server.close()
    for connection in Http.open:
        connection.transport.close()  # what is already written still goes out
    if Http.open:
        await asyncio.wait([each.closed for each in Http.open], timeout=GRACE_SECONDS)
    for connection in Http.open:
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
