"""Native objects are made only by whom they are for, are not copied, and do not crash."""

from __future__ import annotations

import asyncio
import concurrent.futures
import copy
import dataclasses
import gc
import importlib
import os
import pathlib
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import native_types
import pytest
from peers import connection, tcp_pair

import zcloop
from zcloop import sync

pytestmark = pytest.mark.zcloop_only

PROGRAM = str(pathlib.Path(native_types.__file__))
PROCESSES = 2
TYPES_EACH = 8

MADE_BY_NATIVE_CODE = [
    "loop.awaitable:Awaitable",
    "loop.client:Client",
    "loop.executor_call:ExecutorCall",
    "loop.handle:Handle",
    "loop.pending:Pending",
    "loop.socket_holder:SocketHolder",
    "loop.socket_wait:SocketWait",
    "loop.threadsafe_handle:ThreadSafeHandle",
    "loop.timers:TimerHandle",
    "loop.wakeup:Wakeup",
    "loop.watch:Watch",
    "memory.region:Lease",
    "operation.file_status:FileStatus",
    "sync.futex_wait:FutexWait",
    "operation.message:Message",
    "operation.operation:Operation",
    "operation.operation:Owner",
    "operation.poll:Poll",
    "operation.read:Read",
    "operation.receive:Receive",
    "operation.receive_message:ReceiveMessage",
    "operation.request:Request",
    "operation.send_zero_copy:SendZeroCopy",
    "ring.carrying:CarryingRing",
    "ring.local:LocalRing",
    "ring.receiving:ReceivingRing",
    "ring.watching:WatchingRing",
    "transport.address_cache:AddressCache",
    "transport.datagram_delivery:DatagramDelivery",
    "transport.datagram_output:DatagramOutput",
    "transport.datagram_sender:DatagramSender",
    "transport.delivery:Delivery",
    "transport.delivery:ToBuffers",
    "transport.delivery:ToBytes",
    "transport.delivery:ToLeases",
    "transport.delivery:ToNative",
    "transport.descriptor:Descriptor",
    "streams.done:Done",
    "transport.endpoint:Endpoint",
    "transport.held:Held",
    "transport.held:HeldItem",
    "transport.inlet:Inlet",
    "transport.lease_holder:LeaseHolder",
    "transport.low_water_mark:LowWaterMark",
    "transport.outlet:Outlet",
    "transport.protocol_holder:ProtocolHolder",
    "transport.socket_call:SocketCall",
    "transport.write_queue:WriteQueue",
]


def what_ends_the_program(paths: list[str]) -> list[str]:
    """Of these types: each that does, by what call, and each that was copied."""
    found = []
    left = list(paths)
    while left:
        done = subprocess.run(
            [sys.executable, "-P", PROGRAM, *left],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            env={**os.environ, "PYTHONPATH": ""}, timeout=native_types.TYPE_SECONDS * TYPES_EACH,
        )  # fmt: skip
        lines = done.stdout.splitlines()
        found += sorted({line for line in lines if line.startswith("!")})
        if lines and lines[-1] == "done" and done.returncode == 0:
            break
        last = lines[-1] if lines else f"nothing was begun: {done.stderr[-2000:]}"
        found.append(f"{last}: {done.returncode}")
        ended = [number for number, path in enumerate(left) if last.startswith(path)]
        left = left[ended[-1] + 1 :] if ended else []
    return found


@pytest.mark.seconds(240)
def test_no_native_type_made_wrongly_ends_the_program_or_is_copied():
    """Made without arguments, with None, with wrong ones, by __new__ alone; then all is called."""
    paths = native_types.native_types() + native_types.faces()
    assert len(paths) > 90
    pieces = [paths[start : start + TYPES_EACH] for start in range(0, len(paths), TYPES_EACH)]
    with concurrent.futures.ThreadPoolExecutor(PROCESSES) as pool:
        found = [line for lines in pool.map(what_ends_the_program, pieces) for line in lines]
    assert found == []


@pytest.mark.parametrize("path", MADE_BY_NATIVE_CODE)
def test_what_native_code_makes_is_refused_to_python(path):
    module, _, name = path.partition(":")
    kind = getattr(importlib.import_module(f"zcloop._native.{module}"), name)
    with pytest.raises(TypeError, match=f"{name}' objects are made by zcloop alone"):
        kind()
    with pytest.raises(TypeError):
        type.__call__(kind)
    for make in (kind.__new__, object.__new__):
        with pytest.raises(TypeError, match="not safe"):
            make(kind)
    with pytest.raises(TypeError, match="not an acceptable base type"):
        type("Derived", (kind,), {})


# ---- copies --------------------------------------------------------------------------------------


@dataclasses.dataclass
class Request:
    """Make one as a program has it."""

    body: Any


COPIES: dict[str, Callable[[Any], object]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "asdict": lambda made: dataclasses.asdict(Request(made)),
    **{
        f"pickle {protocol}": lambda made, protocol=protocol: pickle.dumps(made, protocol)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
}


def is_refused(made: Any) -> bool:
    """Check that each way to copy it is a TypeError that says why."""
    for name, attempt in COPIES.items():
        with pytest.raises(TypeError, match=r"pickle|copied") as refused:
            attempt(made)
        assert str(refused.value), name
    return True


async def test_a_native_stream_is_not_copied():
    async def served(reader, writer):
        assert is_refused(reader) and is_refused(writer)
        writer.write(await reader.readline())
        writer.close()

    async with await zcloop.start_server(served, "127.0.0.1", 0) as server:
        reader, writer = await zcloop.open_connection(*server.sockets[0].getsockname())
        assert is_refused(reader) and is_refused(writer) and is_refused(writer.transport)
        assert is_refused(writer.transport.get_protocol())
        writer.write(b"hello\n")
        assert await reader.read() == b"hello\n"
        writer.close()
        await writer.wait_closed()


async def test_a_transport_is_not_copied_and_goes_on():
    async with connection(asyncio.Protocol, tcp_pair) as (transport, _, peer):
        assert is_refused(transport) and is_refused(transport._stream)
        transport.write(b"hello")
        assert await asyncio.get_running_loop().sock_recv(peer, 10) == b"hello"


async def test_a_pipe_and_a_child_are_not_copied():
    loop = asyncio.get_running_loop()
    read_fd, write_fd = os.pipe()
    reading, _ = await loop.connect_read_pipe(asyncio.Protocol, os.fdopen(read_fd, "rb"))
    writing, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(write_fd, "wb"))
    child, _ = await loop.subprocess_exec(asyncio.SubprocessProtocol, sys.executable, "-c", "")
    assert is_refused(reading) and is_refused(writing) and is_refused(child)
    await child._wait()
    for transport in (reading, writing, child):
        transport.close()
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_a_loop_and_what_it_gives_are_not_copied():
    loop = asyncio.get_running_loop()
    handle, timer = loop.call_soon(len, ()), loop.call_later(1, len, ())
    assert is_refused(loop) and is_refused(handle) and is_refused(timer)
    assert is_refused(loop.call_soon_threadsafe(len, ()))
    timer.cancel()


def test_memory_and_locks_are_not_copied():
    with zcloop.Region(4096) as region:
        assert is_refused(region)
        with region.reserve(10) as view:
            assert is_refused(view.obj)
        gc.collect()  # the tracebacks show it
    for thing in (sync.Mutex(), sync.Semaphore(1), sync.ReadWriteLock(), sync.Barrier(2)):
        assert is_refused(thing)
    with zcloop.EventChannel() as channel:
        channel.post("mine")
        assert is_refused(channel) and is_refused(channel.next_event())
        with open(os.devnull, "rb") as file:
            assert is_refused(channel.read(file, bytearray(1)))


@pytest.mark.parametrize("make", ["stream", "datagram"])
async def test_a_transport_over_a_closed_socket_is_an_os_error(make):
    """It once wrote before the beginning of the loop's table."""
    from zcloop._native.transport.datagram import Datagram
    from zcloop._native.transport.stream import Stream

    with pytest.raises(OSError, match="Bad file descriptor"):
        {"stream": Stream, "datagram": Datagram}[make](asyncio.get_running_loop(), -1)
