"""Length-prefixed messages, parsed in the memory that the kernel received them into.

    python examples/zero_copy_receive.py --port 8888
    python examples/zero_copy_receive.py --send 127.0.0.1:8888 --messages 100 --readings 10000

A message is its length (four bytes) and so many bytes of readings: the number of a sensor (four
bytes) and its value (a double). Each is answered by a line, and the end of the stream by a last
one: how many bytes were read in place, and how many were copied.

Two things are copied: the transport copies what is too small to be worth lending
(`set_lease_limits`), and the parser joins the parts of a message that is cut in two.
Only zcloop lends its memory: no other loop runs the server.
"""

from __future__ import annotations

import argparse
import asyncio
import pkgutil
import signal
import struct

import zcloop

LENGTH = struct.Struct("!I")
READING = struct.Struct("!Id")
MESSAGE_BYTES_MAX = 16 * 1024 * 1024


def message_size(data: memoryview | bytearray, start: int = 0) -> int:
    """Return the size of the message that begins there, with its length; while the length is cut,
    only the size of the length."""
    if len(data) - start < LENGTH.size:
        return LENGTH.size
    size = LENGTH.unpack_from(data, start)[0]
    if not 0 < size <= MESSAGE_BYTES_MAX or size % READING.size:
        raise ValueError("no message has this length")
    return LENGTH.size + size


class Receiver(zcloop.ZeroCopyProtocol):
    open: set[Receiver] = set()

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.closed = asyncio.get_running_loop().create_future()
        self.open.add(self)
        self.part = bytearray()  # the beginning of a message whose end has not come
        self.joined_bytes = 0

    def buffer_received(self, view: memoryview) -> None:
        with view:  # its memory is free again after this block: no slice of it is kept
            try:
                self.parse(view)
            except ValueError:
                self.transport.abort()

    def parse(self, view: memoryview) -> None:
        start = self.join(view)
        while start + (size := message_size(view, start)) <= len(view):
            self.take(view[start : start + size])
            start += size
        self.part += view[start:]
        self.joined_bytes += len(view) - start

    def join(self, view: memoryview) -> int:
        """Complete the message that began in earlier views; returns where the next one begins."""
        used = 0
        while self.part and (missing := message_size(self.part) - len(self.part)):
            if used == len(view):
                return used
            piece = view[used : used + missing]
            self.part += piece
            used += len(piece)
        if self.part:
            self.take(memoryview(self.part))
            self.part = bytearray()
        self.joined_bytes += used
        return used

    def take(self, message: memoryview) -> None:
        values = [value for _, value in READING.iter_unpack(message[LENGTH.size :])]
        self.transport.write(b"%d readings, mean %g\n" % (len(values), sum(values) / len(values)))

    def eof_received(self) -> None:
        counted = self.transport.lease_statistics()
        self.transport.write(
            b"%d bytes in place, %d copied by the transport, %d joined by the parser\n"
            % (counted["lent_bytes"], counted["copied_bytes"], self.joined_bytes)
        )

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

    server = await loop.create_server(Receiver, host, port)
    host, port = server.sockets[0].getsockname()[:2]
    print(f"listening on {host}:{port}", flush=True)
    await stop.wait()

    server.close()
    for connection in Receiver.open:
        connection.transport.abort()
    if Receiver.open:
        await asyncio.wait([each.closed for each in Receiver.open])
    await server.wait_closed()


async def send(address: str, messages: int, readings: int) -> None:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    body = b"".join(READING.pack(sensor, sensor / 2) for sensor in range(readings))
    for _ in range(messages):
        writer.write(LENGTH.pack(len(body)) + body)
        await reader.readline()
    writer.write_eof()
    print((await reader.read()).decode(), end="")
    writer.close()
    await writer.wait_closed()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--host", default="127.0.0.1")
    options.add_argument("--port", type=int, default=0, help="0, the default, takes any free port")
    options.add_argument("--send", metavar="HOST:PORT", help="be a client of this server")
    options.add_argument("--messages", type=int, default=100)
    options.add_argument("--readings", type=int, default=10_000, help="in each message")
    options.add_argument(
        "--loop",
        metavar="MODULE:FACTORY",
        type=pkgutil.resolve_name,
        default="zcloop:new_event_loop",
    )
    chosen = options.parse_args()
    with asyncio.Runner(loop_factory=chosen.loop) as runner:
        if chosen.send:
            runner.run(send(chosen.send, chosen.messages, chosen.readings))
        else:
            runner.run(serve(chosen.host, chosen.port))


if __name__ == "__main__":
    main()
