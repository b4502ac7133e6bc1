"""Servers, handshakes and futures that wait leave the loop asleep."""

import asyncio
import contextlib
import errno
import resource
import socket
import ssl

import pytest
from idleness import States, under_way
from peers import io_passed, reset
from recording import Recorder
from waits import until

pytestmark = pytest.mark.zcloop_only

STATES = States()


@STATES.add
async def a_server_waits_for_connections():
    loop = asyncio.get_running_loop()
    made = []
    server = await loop.create_server(lambda: made.append(Recorder()) or made[-1], "127.0.0.1", 0)
    async with server:

        async def one_comes():
            with socket.create_connection(server.sockets[0].getsockname()):
                await until(lambda: made)
            await made[0].lost()

        yield one_comes


@STATES.add
async def a_server_without_descriptors():
    """It has told, and tries again a second later."""
    loop = asyncio.get_running_loop()
    told = []
    handler = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: told.append(context))
    made = []
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        client.setblocking(False)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))  # an accept knows it as it was
        async with await loop.create_server(
            lambda: made.append(Recorder()) or made[-1], sock=listener
        ):
            try:
                with contextlib.suppress(BlockingIOError):
                    client.connect(listener.getsockname())
                await until(lambda: told)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, before)
                loop.set_exception_handler(handler)

            async def it_recovers():
                await until(lambda: made)
                client.close()
                await made[0].lost()
                assert [context["exception"].errno for context in told] == [errno.EMFILE]

            yield it_recovers


@STATES.add
async def a_tls_client_waits_for_the_handshake():
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        address = listener.getsockname()
        async with under_way(
            lambda: loop.create_connection(
                Recorder, *address, ssl=context, server_hostname="localhost"
            )
        ) as task:
            await io_passed()
            accepted, _ = listener.accept()
            with accepted:

                async def it_fails_when_the_server_goes():
                    reset(accepted)
                    with pytest.raises(OSError):
                        await task

                yield it_fails_when_the_server_goes


@STATES.add
async def a_tls_server_waits_for_the_handshake():
    loop = asyncio.get_running_loop()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    async with await loop.create_server(Recorder, "127.0.0.1", 0, ssl=context) as server:
        with socket.create_connection(server.sockets[0].getsockname()) as client:
            await until(lambda: loop.statistics()["transports"] == 1)

            async def it_ends_with_the_client():
                client.close()
                await until(lambda: loop.statistics()["transports"] == 0)

            yield it_ends_with_the_client


@STATES.add
async def a_future():
    future = asyncio.get_running_loop().create_future()

    async def it_is_done():
        future.get_loop().call_soon_threadsafe(future.set_result, 1)
        assert await future == 1

    yield it_is_done


@pytest.mark.parametrize("name", STATES)
async def test_the_turn_counter_stands_still_and_the_wait_ends(name):
    await STATES.check(name)
