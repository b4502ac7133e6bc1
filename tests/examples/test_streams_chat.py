"""streams_chat.py carries every line to all members, and throws out who does not read."""

from __future__ import annotations

import asyncio
import contextlib
import signal

import pytest
from example_programs import bounded, connection, ends_cleanly, example, server

pytestmark = pytest.mark.filterwarnings("error")


@contextlib.asynccontextmanager
async def chatter(address: tuple[str, int], name: str):
    host, port = address
    async with example("streams_chat.py", "--connect", f"{host}:{port}", "--name", name) as process:
        yield process


@bounded
async def test_chat_carries_every_line_to_all_three_members():
    async with contextlib.AsyncExitStack() as stack:
        address = await stack.enter_async_context(server("streams_chat.py"))
        members: dict[str, asyncio.subprocess.Process] = {}

        async def everybody_reads(line: str) -> None:
            for member in members.values():
                assert (await member.stdout.readline()).decode() == line + "\n"

        for count, name in enumerate(("ann", "bob", "eve"), 1):
            members[name] = await stack.enter_async_context(chatter(address, name))
            await everybody_reads(f"* {name} joined, {count} here")
        for number in range(20):
            for name, member in members.items():
                member.stdin.write(f"line {number} of {name}\n".encode())
                await everybody_reads(f"{name}: line {number} of {name}")

        eve = members.pop("eve")
        assert (await eve.communicate(b"one last word\n"))[0] == b"eve: one last word\n"
        assert eve.returncode == 0
        await everybody_reads("eve: one last word")
        await everybody_reads("* eve left, 2 here")
        bob = members.pop("bob")
        bob.send_signal(signal.SIGINT)
        await ends_cleanly(bob)
        await everybody_reads("* bob left, 1 here")


@bounded
async def test_chat_client_ends_when_the_server_does():
    async with contextlib.AsyncExitStack() as stack:
        async with server("streams_chat.py", signal.SIGTERM) as address:
            ann = await stack.enter_async_context(chatter(address, "ann"))
            assert await ann.stdout.readline() == b"* ann joined, 1 here\n"
        # Its standard input stays open. The server's end of the connection ends it.
        assert await ann.stdout.read() == b""
        assert await ann.wait() == 0


@bounded
async def test_chat_throws_out_a_member_that_does_not_read_and_keeps_the_others():
    line = b"x" * 60_000 + b"\n"
    async with (
        server("streams_chat.py") as address,
        connection(address) as (reader, writer),
        connection(address) as (_, deaf),
    ):
        deaf.transport.pause_reading()
        writer.write(b"ann\n")
        assert await reader.readline() == b"* ann joined, 1 here\n"
        deaf.write(b"deaf\n")
        assert await reader.readline() == b"* deaf joined, 2 here\n"
        heard = b""
        while heard != b"* deaf left, 1 here\n":
            writer.write(line)
            heard = await reader.readline()
            assert heard in (b"ann: " + line, b"* deaf left, 1 here\n")


@bounded
async def test_chat_refuses_a_taken_name_and_survives_an_endless_line():
    async with (
        server("streams_chat.py") as address,
        connection(address) as (reader, writer),
        connection(address) as (second_reader, second_writer),
        connection(address) as (third_reader, third_writer),
    ):
        writer.write(b"ann\n")
        assert await reader.readline() == b"* ann joined, 1 here\n"
        second_writer.write(b"ann\n")
        assert await second_reader.read() == b"* that name is taken\n"
        third_writer.write(b"y" * 200_000)
        with contextlib.suppress(ConnectionError):
            assert await third_reader.read() == b""
        writer.write(b"still here\n")
        assert await reader.readline() == b"ann: still here\n"
