"""A chat room on asyncio streams: one server, and a client that talks by its standard input.

    python examples/streams_chat.py --port 7777
    python examples/streams_chat.py --connect 127.0.0.1:7777 --name ann
    python examples/streams_chat.py --connect 127.0.0.1:7777 --name bob

The first line that a client sends is its name; every later line goes to everyone in the room.
Lines that begin with `*` are the room's own. A client leaves by closing its input (Ctrl-D).
`--loop asyncio:new_event_loop` runs either side on another loop.

The room writes to its members without waiting for any of them: one that does not read must not
hold up the others. So each has an allowance of unread bytes, and leaves when it is used up.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import pkgutil
import signal

UNREAD_BYTES_MAX = 1024 * 1024
# How long members that do not read may hold up the end of the server.
GRACE_SECONDS = 2.0


class Room:
    def __init__(self) -> None:
        self.members: dict[str, asyncio.StreamWriter] = {}
        self.visits: dict[asyncio.Task, asyncio.StreamWriter] = {}

    async def visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client, from its name to its leaving."""
        visit = asyncio.current_task()
        self.visits[visit] = writer
        # readline() raises ValueError for a line longer than the reader's limit.
        with contextlib.suppress(ConnectionError, ValueError):
            name = (await reader.readline()).decode(errors="replace").strip()
            if name in self.members:
                writer.write(b"* that name is taken\n")
            elif name:
                await self.talk(name, reader, writer)
        with contextlib.suppress(ConnectionError):
            writer.close()
            await writer.wait_closed()
        del self.visits[visit]

    async def talk(
        self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.members[name] = writer
        try:
            self.tell(f"* {name} joined, {len(self.members)} here")
            while line := await reader.readline():
                self.tell(f"{name}: {line.decode(errors='replace').strip()}")
        finally:
            del self.members[name]
            self.tell(f"* {name} left, {len(self.members)} here")

    def tell(self, text: str) -> None:
        line = text.encode() + b"\n"
        for writer in self.members.values():
            if writer.is_closing():
                continue
            writer.write(line)
            if writer.transport.get_write_buffer_size() > UNREAD_BYTES_MAX:
                writer.transport.abort()  # its visit reads the end of the stream, and ends

    async def close(self) -> None:
        for writer in self.visits.values():
            writer.close()
        if self.visits:
            await asyncio.wait(list(self.visits), timeout=GRACE_SECONDS)
        for writer in self.visits.values():
            writer.transport.abort()
        if self.visits:
            await asyncio.wait(list(self.visits))


async def serve(host: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)

    room = Room()
    server = await asyncio.start_server(room.visit, host, port)
    host, port = server.sockets[0].getsockname()[:2]
    print(f"listening on {host}:{port}", flush=True)
    await stop.wait()

    server.close()
    await room.close()
    await server.wait_closed()


async def chat(address: str, name: str) -> None:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, writer.close)
    writer.write(f"{name}\n".encode())

    async with keyboard() as lines:
        typing = asyncio.create_task(say(lines, writer))
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                print(line.decode(errors="replace"), end="", flush=True)
        typing.cancel()
        await asyncio.wait([typing])
    with contextlib.suppress(ConnectionError):
        writer.close()
        await writer.wait_closed()


@contextlib.asynccontextmanager
async def keyboard():
    """Standard input as a stream, for as long as the block lasts."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    # The pipe transport makes its file non-blocking, and a terminal shares that with the shell
    # that started us: it works on a copy of descriptor 0, and blocking mode is restored after it.
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), os.fdopen(os.dup(0), "rb", buffering=0)
    )
    try:
        yield lines
    finally:
        transport.close()
        os.set_blocking(0, True)


async def say(lines: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while line := await lines.readline():
            writer.write(line)
            await writer.drain()
        writer.write_eof()  # the room answers with its own end of stream


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--host", default="127.0.0.1")
    options.add_argument("--port", type=int, default=0, help="0, the default, takes any free port")
    options.add_argument("--connect", metavar="HOST:PORT", help="be a client of this server")
    options.add_argument("--name", default=os.environ.get("USER", "guest"))
    options.add_argument(
        "--loop",
        metavar="MODULE:FACTORY",
        type=pkgutil.resolve_name,
        default="zcloop:new_event_loop",
    )
    chosen = options.parse_args()
    with asyncio.Runner(loop_factory=chosen.loop) as runner:
        if chosen.connect:
            runner.run(chat(chosen.connect, chosen.name))
        else:
            runner.run(serve(chosen.host, chosen.port))


if __name__ == "__main__":
    main()
