"""anyio on the loop, by `backend_options={"loop_factory": ...}`: what its users call every day.

anyio's Unix sockets and `wait_readable` use add_reader and add_writer on descriptors of their own.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import subprocess

import anyio
import anyio.abc
import anyio.from_thread
import anyio.lowlevel
import anyio.streams.tls
import anyio.to_thread
import pytest

from .payloads import digest, payload


@pytest.fixture
def loop_class(loop_factory) -> type:
    loop = loop_factory()
    loop.close()
    return type(loop)


@pytest.fixture
def run(loop_factory, loop_class):
    """anyio.run on the loop under test; checks that it is that loop."""

    def run_on_the_loop(main):
        async def checked():
            assert type(asyncio.get_running_loop()) is loop_class
            return await main()

        return anyio.run(checked, backend_options={"loop_factory": loop_factory})

    return run_on_the_loop


async def echo(stream: anyio.abc.ByteStream) -> None:
    async with stream:
        async for chunk in stream:
            await stream.send(chunk)


async def echoed(stream: anyio.abc.ByteStream, content: bytes) -> bytes:
    async with stream, anyio.create_task_group() as tasks:

        async def send() -> None:
            await stream.send(content)
            await stream.send_eof()

        tasks.start_soon(send)
        return b"".join([chunk async for chunk in stream])


def test_tcp_streams_echo_large_payloads_to_many_clients(run):
    content = payload(1_000_000)

    async def main():
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, echo)
            async with anyio.create_task_group() as clients:

                async def ask() -> None:
                    stream = await anyio.connect_tcp("127.0.0.1", port)
                    assert digest(await echoed(stream, content)) == digest(content)

                for _ in range(10):
                    clients.start_soon(ask)
            tasks.cancel_scope.cancel()

    run(main)


def test_tls_streams_echo_and_refuse_an_unknown_authority(run, certificates):
    async def main():
        plain = await anyio.create_tcp_listener(local_host="127.0.0.1")
        port = plain.extra(anyio.abc.SocketAttribute.local_port)
        listener = anyio.streams.tls.TLSListener(
            plain, certificates.server_context(), standard_compatible=False
        )
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, echo)
            async with await anyio.connect_tcp(
                "127.0.0.1",
                port,
                ssl_context=certificates.client_context(),
                tls_standard_compatible=False,
            ) as stream:
                for size in (1, 20_000, 200_000):
                    content = payload(size)
                    await stream.send(content)
                    received = b""
                    while len(received) < size:
                        received += await stream.receive()
                    assert digest(received) == digest(content)
            with pytest.raises(ssl.SSLCertVerificationError):
                await anyio.connect_tcp("127.0.0.1", port, tls=True)
            tasks.cancel_scope.cancel()

    run(main)


def test_unix_sockets_carry_bytes_and_descriptors(run, tmp_path):
    content = payload(1_000_000)

    async def serve(stream: anyio.abc.UNIXSocketStream) -> None:
        async with stream:
            greeting, (descriptor,) = await stream.receive_fds(10, 1)
            os.write(descriptor, b"passed with " + greeting)
            os.close(descriptor)
            async for chunk in stream:
                await stream.send(chunk)

    async def main():
        listener = await anyio.create_unix_listener(tmp_path / "sock")
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, serve)
            stream = await anyio.connect_unix(tmp_path / "sock")
            reading, writing = os.pipe()
            await stream.send_fds(b"hello", [writing])
            os.close(writing)
            await anyio.wait_readable(reading)
            assert os.read(reading, 100) == b"passed with hello"
            os.close(reading)
            assert digest(await echoed(stream, content)) == digest(content)
            tasks.cancel_scope.cancel()

    run(main)


def test_udp_sockets_exchange_datagrams(run):
    async def main():
        async with (
            await anyio.create_udp_socket(local_host="127.0.0.1") as server,
            await anyio.create_connected_udp_socket(
                "127.0.0.1", server.extra(anyio.abc.SocketAttribute.local_port)
            ) as client,
        ):
            for size in (1, 1472, 60_000):
                await client.send(payload(size))
                datagram, (host, port) = await server.receive()
                assert digest(datagram) == digest(payload(size))
                await server.sendto(b"%d" % size, host, port)
                assert await client.receive() == b"%d" % size

    run(main)


def test_cancel_scopes_end_receives_accepts_and_nested_tasks(run):
    async def main():
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, echo)
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                for number in range(20):
                    with anyio.move_on_after(0.001) as scope:
                        await stream.receive()
                    assert scope.cancelled_caught
                    await stream.send(b"%d" % number)
                    assert await stream.receive() == b"%d" % number
            with pytest.raises(TimeoutError):
                with anyio.fail_after(0.01):
                    async with anyio.create_task_group() as sleepers:
                        for _ in range(50):
                            sleepers.start_soon(anyio.sleep_forever)
            tasks.cancel_scope.cancel()

    run(main)


def test_threads_call_into_the_loop_and_back(run):
    async def double(number: int) -> int:
        await anyio.lowlevel.checkpoint()
        return 2 * number

    def in_a_thread(number: int) -> int:
        return anyio.from_thread.run(double, number) + anyio.from_thread.run_sync(int, "1")

    async def main():
        results = [None] * 200

        async def one(number: int) -> None:
            results[number] = await anyio.to_thread.run_sync(in_a_thread, number)

        async with anyio.create_task_group() as tasks:
            for number in range(200):
                tasks.start_soon(one, number)
        assert results == [2 * number + 1 for number in range(200)]

    run(main)


def test_blocking_portal_runs_the_loop_in_another_thread(loop_factory, loop_class):
    options = {"loop_factory": loop_factory}
    with anyio.from_thread.start_blocking_portal(backend_options=options) as portal:
        futures = [portal.start_task_soon(anyio.sleep, 0) for _ in range(100)]
        assert [future.result(20) for future in futures] == [None] * 100
        assert type(portal.call(asyncio.get_running_loop)) is loop_class
        with pytest.raises(ZeroDivisionError):
            portal.call(lambda: 1 / 0)


def test_processes_stream_their_output_and_report_failure(run):
    async def main():
        content = payload(1_000_000)
        completed = await anyio.run_process(["cat"], input=content)
        assert digest(completed.stdout) == digest(content)
        with pytest.raises(subprocess.CalledProcessError) as raised:
            await anyio.run_process(["sh", "-c", "exit 4"])
        assert raised.value.returncode == 4
        async with await anyio.open_process(["cat"]) as process:
            await process.stdin.send(b"line")
            assert await process.stdout.receive() == b"line"
            process.terminate()
            assert await process.wait() == -signal.SIGTERM

    run(main)


def test_signal_receiver_yields_signals_in_order(run):
    async def main():
        with anyio.open_signal_receiver(signal.SIGUSR1, signal.SIGUSR2) as signals:
            for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGUSR1):
                os.kill(os.getpid(), number)
                assert await anext(signals) == number

    run(main)


def test_wait_readable_and_writable_serve_plain_sockets(run):
    async def main():
        first, second = socket.socketpair()
        with first, second:
            first.setblocking(False)
            second.setblocking(False)
            for number in range(50):
                await anyio.wait_writable(first)
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(anyio.wait_readable, second)
                    await anyio.lowlevel.checkpoint()
                    first.send(b"%d" % number)
                assert second.recv(10) == b"%d" % number
            with anyio.move_on_after(0.001) as scope:
                await anyio.wait_readable(second)
            assert scope.cancelled_caught

    run(main)


def test_files_are_read_and_written_through_worker_threads(run, tmp_path):
    async def main():
        path = anyio.Path(tmp_path / "file")
        async with await anyio.open_file(path, "wb") as file:
            for _ in range(50):
                await file.write(bytes(10_000))
        assert (await path.stat()).st_size == 500_000
        assert digest(await path.read_bytes()) == digest(bytes(500_000))

    run(main)
