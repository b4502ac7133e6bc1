"""loop.sock_* that wait sleep, whatever the peer has ended or the socket keeps."""

import asyncio
import contextlib
import socket
import tempfile

import pytest
from idleness import (
    DATA,
    Open,
    States,
    half_close,
    keep_a_refusal,
    keep_errors,
    narrow_tcp,
    udp_socket,
    under_way,
)
from peers import connection, io_passed, receive_exactly, tcp_pair, unix_pair
from recording import Recorder

pytestmark = pytest.mark.zcloop_only

STATES = States()


def half_closed(ours, peer):
    half_close(peer)


@contextlib.asynccontextmanager
async def sending_all(pair, prepare=lambda ours, peer: None, before=b""):
    """What ends a sock_sendall that waits for room."""
    loop = asyncio.get_running_loop()
    with pair() as (ours, peer):
        prepare(ours, peer)
        async with under_way(loop.sock_sendall, ours, DATA) as task:
            await io_passed()
            assert not task.done()

            async def all_of_it_arrives():
                assert await receive_exactly(peer, len(before) + len(DATA)) == before + DATA
                await task

            yield all_of_it_arrives


@STATES.add
async def sock_sendall_waits_for_room():
    async with sending_all(narrow_tcp) as arrives:
        yield arrives


@STATES.add
async def sock_sendall_waits_for_room_of_a_peer_that_half_closed():
    async with sending_all(narrow_tcp, half_closed) as arrives:
        yield arrives


@STATES.add
async def sock_sendall_waits_for_room_of_a_unix_peer_that_half_closed():
    async with sending_all(unix_pair, half_closed) as arrives:
        yield arrives


@STATES.add
async def sock_sendall_with_an_error_queue_waits_for_room():
    async with sending_all(narrow_tcp, lambda ours, _: keep_errors(ours), b"x") as arrives:
        yield arrives


@STATES.add
async def sock_sendfile_waits_for_room_of_a_peer_that_half_closed():
    loop = asyncio.get_running_loop()
    with narrow_tcp() as (ours, peer), tempfile.TemporaryFile() as file:
        file.write(DATA)
        file.flush()
        half_close(peer)
        async with under_way(loop.sock_sendfile, ours, file, 0, None) as task:
            await io_passed()
            assert not task.done()

            async def all_of_it_arrives():
                assert await receive_exactly(peer, len(DATA)) == DATA
                assert await task == len(DATA)

            yield all_of_it_arrives


@STATES.add
async def sendfile_waits_for_room_of_a_peer_that_half_closed():
    loop = asyncio.get_running_loop()
    with tempfile.TemporaryFile() as file:
        file.write(DATA)
        file.flush()
        async with connection(Open, narrow_tcp) as (transport, _, peer):
            half_close(peer)
            async with under_way(loop.sendfile, transport, file) as task:
                await io_passed()
                assert not task.done()

                async def all_of_it_arrives():
                    assert await receive_exactly(peer, len(DATA)) == DATA
                    assert await task == len(DATA)

                yield all_of_it_arrives


@STATES.add
async def sock_recv_waits():
    loop = asyncio.get_running_loop()
    with tcp_pair() as (ours, peer):
        async with under_way(loop.sock_recv, ours, 100) as task:

            async def it_receives():
                peer.send(b"x")
                assert await task == b"x"

            yield it_receives


@STATES.add
async def sock_recv_with_an_error_queue_waits():
    loop = asyncio.get_running_loop()
    with tcp_pair() as (ours, peer):
        keep_errors(ours)
        async with under_way(loop.sock_recv, ours, 100) as task:

            async def it_receives():
                peer.send(b"x")
                assert await task == b"x"

            yield it_receives


@STATES.add
async def sock_recvfrom_with_a_refused_peer_waits():
    loop = asyncio.get_running_loop()
    with udp_socket() as ours, udp_socket() as peer:
        keep_a_refusal(ours)
        async with under_way(loop.sock_recvfrom, ours, 100) as task:

            async def it_receives():
                peer.sendto(b"x", ours.getsockname())
                assert await task == (b"x", peer.getsockname())

            yield it_receives


@STATES.add
async def sock_accept_waits():
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        async with under_way(loop.sock_accept, listener) as task:

            async def it_accepts():
                with socket.create_connection(listener.getsockname()) as client:
                    accepted, address = await task
                    with accepted:
                        assert address == client.getsockname()

            yield it_accepts


@contextlib.contextmanager
def full_listener():
    """A listener whose backlog is full, so that who connects waits."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        stack.enter_context(socket.create_connection(listener.getsockname()))
        yield listener


@STATES.add
async def sock_connect_waits():
    loop = asyncio.get_running_loop()
    with full_listener() as listener, socket.socket() as ours:
        ours.setblocking(False)
        async with under_way(loop.sock_connect, ours, listener.getsockname()) as task:
            await io_passed()
            assert not task.done()

            async def it_connects():
                listener.accept()[0].close()
                await task  # the kernel asks again after a second

            yield it_connects


@STATES.add
async def create_connection_waits():
    loop = asyncio.get_running_loop()
    with full_listener() as listener:
        address = listener.getsockname()
        async with under_way(loop.create_connection, Recorder, *address) as task:
            await io_passed()
            assert not task.done()

            async def it_connects():
                listener.accept()[0].close()
                transport, protocol = await task
                transport.abort()
                await protocol.lost()

            yield it_connects


@pytest.mark.parametrize("name", STATES)
async def test_the_turn_counter_stands_still_and_the_wait_ends(name):
    await STATES.check(name)
