"""One end of a pipe as a transport, the other as a plain descriptor."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
from collections.abc import AsyncIterator
from typing import Any

from waits import until


async def closed(pipe: io.IOBase) -> None:
    """Return when the transport has closed its pipe, which it does after connection_lost."""
    await until(lambda: pipe.closed)


@contextlib.asynccontextmanager
async def reading_pipe(protocol: Any) -> AsyncIterator[tuple[Any, io.FileIO]]:
    """Yield a transport that reads, and the end to write to, which blocks."""
    read_fd, write_fd = os.pipe()
    pipe = os.fdopen(read_fd, "rb", 0)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: protocol, pipe)
    with os.fdopen(write_fd, "wb", 0) as writer:
        try:
            yield transport, writer
        finally:
            transport.close()
            await closed(pipe)


@contextlib.asynccontextmanager
async def writing_pipe(protocol: Any) -> AsyncIterator[tuple[Any, io.FileIO]]:
    """Yield a transport that writes, and the end to read from, which does not block."""
    read_fd, write_fd = os.pipe()
    os.set_blocking(read_fd, False)
    pipe = os.fdopen(write_fd, "wb", 0)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_write_pipe(lambda: protocol, pipe)
    with os.fdopen(read_fd, "rb", 0) as reader:
        try:
            yield transport, reader
        finally:
            if not transport.is_closing() or transport.get_write_buffer_size():
                transport.abort()
            await closed(pipe)
