"""echo_server.py returns every byte to its client, and ends although clients stay."""

from __future__ import annotations

import asyncio
import contextlib
import operator
import random
import signal

import pytest
from example_programs import bounded, connection, echoed, server

pytestmark = pytest.mark.filterwarnings("error")


@bounded
async def test_echo_returns_everything_to_several_clients_that_half_close():
    payloads = [random.Random(seed).randbytes(2_000_000) for seed in range(8)]
    async with server("echo_server.py") as address:
        answers = await asyncio.gather(*(echoed(address, payload) for payload in payloads))
    # Not one `==`: pytest would take minutes to print how megabytes differ.
    assert [len(answer) for answer in answers] == [len(payload) for payload in payloads]
    assert all(map(operator.eq, answers, payloads))


@bounded
async def test_echo_answers_each_small_message_before_the_next():
    async with (
        server("echo_server.py") as address,
        connection(address) as (reader, writer),
    ):
        for number in range(500):
            message = b"message %d\n" % number
            writer.write(message)
            assert await reader.readline() == message


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM], ids=lambda each: each.name)
@bounded
async def test_echo_ends_although_a_client_is_idle_and_another_does_not_read(ending):
    async with contextlib.AsyncExitStack() as clients:
        async with server("echo_server.py", ending) as address:
            reader, writer = await clients.enter_async_context(connection(address))
            writer.write(b"idle from now on\n")
            await reader.readline()
            _, writer = await clients.enter_async_context(connection(address))
            writer.transport.set_write_buffer_limits(high=0)
            writer.transport.pause_reading()
            writer.write(bytes(64_000_000))
        # A connection that ends with unread bytes is reset, and that is what the writer sees.
        with contextlib.suppress(ConnectionError):
            await writer.drain()
