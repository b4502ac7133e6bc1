"""zero_copy_receive.py parses messages in place, and says what was copied."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import struct

import pytest
from example_programs import (
    bounded,
    connection,
    ends_cleanly,
    example,
    lending_only,
    place_text,
    server,
)

pytestmark = pytest.mark.filterwarnings("error")


def readings(*values: float) -> bytes:
    body = b"".join(struct.pack("!Id", sensor, value) for sensor, value in enumerate(values))
    return struct.pack("!I", len(body)) + body


async def counters(reader: asyncio.StreamReader) -> list[int]:
    return [int(number) for number in re.findall(rb"\d+", await reader.read())]


@lending_only
@bounded
async def test_receive_parses_messages_in_whatever_pieces_they_come():
    stream = readings(1.5) + readings(*range(1, 21)) + readings(7)
    async with server("zero_copy_receive.py") as address:
        for step in (1, 3, 5, 17, len(stream)):
            async with connection(address) as (reader, writer):
                for start in range(0, len(stream), step):
                    writer.write(stream[start : start + step])
                    await asyncio.sleep(0)
                writer.write_eof()
                assert await reader.readline() == b"1 readings, mean 1.5\n"
                assert await reader.readline() == b"20 readings, mean 10.5\n"
                assert await reader.readline() == b"1 readings, mean 7\n"
                assert sum((await counters(reader))[:2]) == len(stream)


@lending_only
@bounded
async def test_receive_reads_large_messages_in_place_and_says_what_was_copied():
    # Half of a message is in memory when it begins to be read: its parts are not all joined.
    async with (
        server("zero_copy_receive.py", signal.SIGTERM) as address,
        example("zero_copy_receive.py", "--send", place_text(address)) as client,
    ):
        output = (await ends_cleanly(client)).decode()
    in_place, copied, joined = map(int, re.findall(r"\d+", output))
    assert in_place + copied == 100 * len(readings(*range(10_000)))
    assert joined < in_place


@lending_only
@pytest.mark.parametrize("size", [0, 13, 0xFFFFFFFF])
@bounded
async def test_receive_drops_a_client_whose_length_is_that_of_no_message(size):
    async with server("zero_copy_receive.py") as address:
        async with connection(address) as (reader, writer):
            writer.write(struct.pack("!I", size) + bytes(13))
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
        async with connection(address) as (reader, writer):
            writer.write(readings(2))
            assert await reader.readline() == b"1 readings, mean 2\n"
