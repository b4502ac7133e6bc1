"""Whatever a loop waits for, it sleeps meanwhile, and goes on when it comes.

Each state below is one in which something waits. The loop's counter of turns must stand still in
it, for 0.3 seconds, or for ZCLOOP_IDLE_SECONDS of the environment (1 is what is promised); then
what was waited for comes, and must be noticed.
"""

import asyncio
import contextlib
import errno
import os
import pathlib
import pty
import re
import resource
import select
import socket
import ssl
import sys
import tempfile
import termios
import threading
import tty

import pytest
from channels import channel_of
from lending import LeaseRecorder
from peers import (
    connection,
    fill,
    gone,
    io_passed,
    payload,
    receive_exactly,
    reset,
    tcp_pair,
    unix_pair,
)
from pipe_ends import closed, reading_pipe, writing_pipe
from recording import DatagramRecorder, Recorder
from streams import stream_and_peer
from waits import until

pytestmark = pytest.mark.zcloop_only

IDLE_SECONDS = float(os.environ.get("ZCLOOP_IDLE_SECONDS", "0.3"))
# A timer's own: the turn that sleeps until it.
TURNS_OF_A_TIMER = 1
# TCP asks a peer without a window again after 0.2 s, and may then find a little room, once.
MEASUREMENTS = 2
TURNS_MAX = 20
SETTLED_SECONDS = 0.02
TRIES_TO_SETTLE = 50
DATA = payload(2_000_000)
SMALL_BUFFER = 65536
# What keeps the error queue of a socket filled: a software timestamp of each byte sent.
TIMESTAMPS = 1 << 1 | 1 << 4 | 1 << 11
SO_TIMESTAMPING = 37
IP_RECVERR = 11
MSG_ERRQUEUE = 0x2000

STATES = {}


def state(function):
    """One more: `async with` it is in the state; what it gives ends that, and checks the end."""
    STATES[function.__name__.replace("_", " ")] = contextlib.asynccontextmanager(function)
    return function


async def turns_in(seconds):
    loop = asyncio.get_running_loop()
    before = loop.statistics()["turns"]
    await asyncio.sleep(seconds)
    return loop.statistics()["turns"] - before


async def settled():
    """Return when nothing is going on: what was begun has come to where it waits."""
    await io_passed()
    for _ in range(TRIES_TO_SETTLE):
        if await turns_in(SETTLED_SECONDS) == TURNS_OF_A_TIMER:
            return
    raise AssertionError(f"{await turns_in(SETTLED_SECONDS)} turns in {SETTLED_SECONDS} s")


@contextlib.contextmanager
def narrow_tcp():
    """Two connected TCP sockets that hold little."""
    with tcp_pair() as pair:
        for sock in pair:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        yield pair


def half_close(sock):
    sock.shutdown(socket.SHUT_WR)


def keep_errors(sock):
    """From now on the socket's error queue holds something, which nobody takes."""
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, TIMESTAMPS)
    sock.send(b"x")
    poller = select.poll()
    poller.register(sock, 0)  # which is for errors alone
    assert poller.poll(5000)[0][1] & select.POLLERR


class Open(Recorder):
    keep_open = True


# ---- transports that wait for room ---------------------------------------------------------------


@contextlib.asynccontextmanager
async def writing(pair, prepare=lambda ours, peer: None):
    """transport, protocol, peer: the transport has written more than there is room for."""
    async with connection(Open, pair) as (transport, protocol, peer):
        prepare(transport.get_extra_info("socket"), peer)
        await io_passed()
        transport.write(DATA)
        assert transport.get_write_buffer_size() > 0
        yield transport, protocol, peer


async def all_arrives(transport, peer, before=b""):
    assert await receive_exactly(peer, len(before) + len(DATA)) == before + DATA
    assert transport.get_write_buffer_size() == 0


def half_closed(ours, peer):
    half_close(peer)


@state
async def a_transport_waits_for_room():
    async with writing(narrow_tcp) as (transport, _, peer):
        yield lambda: all_arrives(transport, peer)


@state
async def a_transport_waits_for_room_of_a_peer_that_half_closed():
    async with writing(narrow_tcp, half_closed) as (transport, protocol, peer):
        assert "eof_received" in protocol.names
        yield lambda: all_arrives(transport, peer)


@state
async def a_transport_waits_for_room_of_a_unix_peer_that_half_closed():
    async with writing(unix_pair, half_closed) as (transport, _, peer):
        yield lambda: all_arrives(transport, peer)


@state
async def a_peer_half_closes_while_a_transport_waits_for_room():
    async with writing(narrow_tcp) as (transport, _, peer):
        await settled()
        half_close(peer)
        yield lambda: all_arrives(transport, peer)


@state
async def a_transport_waits_for_room_of_a_peer_that_half_closes_and_resets():
    async with writing(narrow_tcp, half_closed) as (_, protocol, peer):

        async def it_resets():
            reset(peer)
            assert isinstance(await protocol.lost(), OSError)

        yield it_resets


@state
async def a_closing_transport_waits_for_room_of_a_peer_that_half_closed():
    async with writing(narrow_tcp, half_closed) as (transport, protocol, peer):
        transport.close()

        async def all_is_sent():
            await all_arrives(transport, peer)
            assert await protocol.lost() is None

        yield all_is_sent


@state
async def an_aborted_wait_for_room_of_a_peer_that_half_closed():
    async with writing(narrow_tcp, half_closed) as (transport, protocol, peer):
        await settled()
        transport.abort()
        await protocol.lost()
        await gone(transport)

        async def the_peer_hears_of_it():
            with contextlib.suppress(ConnectionResetError):
                while await asyncio.get_running_loop().sock_recv(peer, 1 << 20):
                    pass

        yield the_peer_hears_of_it


@state
async def a_transport_with_an_error_queue_waits_for_room():
    async with writing(narrow_tcp, keep_errors_of) as (transport, _, peer):
        yield lambda: all_arrives(transport, peer, b"x")


def keep_errors_of(trsock, peer):
    keep_errors(trsock._sock)


@state
async def a_native_stream_waits_for_room_of_a_peer_that_half_closed():
    async with stream_and_peer() as (_, writer, peer):
        half_close(peer)
        writer.write(bytes(20_000_000))
        drained = asyncio.ensure_future(writer.drain())

        async def it_drains():
            assert not drained.done()
            await receive_exactly(peer, 20_000_000)
            await drained

        yield it_drains


# ---- plain sockets -------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def socket_call(call, *arguments):
    task = asyncio.ensure_future(call(*arguments))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def sending_all(pair, prepare=lambda ours, peer: None, before=b""):
    """What ends a sock_sendall that waits for room."""
    loop = asyncio.get_running_loop()
    with pair() as (ours, peer):
        prepare(ours, peer)
        async with socket_call(loop.sock_sendall, ours, DATA) as task:
            await io_passed()
            assert not task.done()

            async def all_of_it_arrives():
                assert await receive_exactly(peer, len(before) + len(DATA)) == before + DATA
                await task

            yield all_of_it_arrives


@state
async def sock_sendall_waits_for_room():
    async with sending_all(narrow_tcp) as arrives:
        yield arrives


@state
async def sock_sendall_waits_for_room_of_a_peer_that_half_closed():
    async with sending_all(narrow_tcp, half_closed) as arrives:
        yield arrives


@state
async def sock_sendall_waits_for_room_of_a_unix_peer_that_half_closed():
    async with sending_all(unix_pair, half_closed) as arrives:
        yield arrives


@state
async def sock_sendall_with_an_error_queue_waits_for_room():
    async with sending_all(narrow_tcp, lambda ours, _: keep_errors(ours), b"x") as arrives:
        yield arrives


@state
async def sock_sendfile_waits_for_room_of_a_peer_that_half_closed():
    loop = asyncio.get_running_loop()
    with narrow_tcp() as (ours, peer), tempfile.TemporaryFile() as file:
        file.write(DATA)
        file.flush()
        half_close(peer)
        async with socket_call(loop.sock_sendfile, ours, file, 0, None) as task:
            await io_passed()
            assert not task.done()

            async def all_of_it_arrives():
                assert await receive_exactly(peer, len(DATA)) == DATA
                assert await task == len(DATA)

            yield all_of_it_arrives


@state
async def sendfile_waits_for_room_of_a_peer_that_half_closed():
    loop = asyncio.get_running_loop()
    with tempfile.TemporaryFile() as file:
        file.write(DATA)
        file.flush()
        async with connection(Open, narrow_tcp) as (transport, _, peer):
            half_close(peer)
            async with socket_call(loop.sendfile, transport, file) as task:
                await io_passed()
                assert not task.done()

                async def all_of_it_arrives():
                    assert await receive_exactly(peer, len(DATA)) == DATA
                    assert await task == len(DATA)

                yield all_of_it_arrives


@state
async def sock_recv_waits():
    loop = asyncio.get_running_loop()
    with tcp_pair() as (ours, peer):
        async with socket_call(loop.sock_recv, ours, 100) as task:

            async def it_receives():
                peer.send(b"x")
                assert await task == b"x"

            yield it_receives


@state
async def sock_recv_with_an_error_queue_waits():
    loop = asyncio.get_running_loop()
    with tcp_pair() as (ours, peer):
        keep_errors(ours)
        async with socket_call(loop.sock_recv, ours, 100) as task:

            async def it_receives():
                peer.send(b"x")
                assert await task == b"x"

            yield it_receives


@state
async def sock_recvfrom_with_a_refused_peer_waits():
    loop = asyncio.get_running_loop()
    with udp_socket() as ours, udp_socket() as peer:
        keep_a_refusal(ours)
        async with socket_call(loop.sock_recvfrom, ours, 100) as task:

            async def it_receives():
                peer.sendto(b"x", ours.getsockname())
                assert await task == (b"x", peer.getsockname())

            yield it_receives


@state
async def sock_accept_waits():
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        async with socket_call(loop.sock_accept, listener) as task:

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


@state
async def sock_connect_waits():
    loop = asyncio.get_running_loop()
    with full_listener() as listener, socket.socket() as ours:
        ours.setblocking(False)
        async with socket_call(loop.sock_connect, ours, listener.getsockname()) as task:
            await io_passed()
            assert not task.done()

            async def it_connects():
                listener.accept()[0].close()
                await task  # the kernel asks again after a second

            yield it_connects


@state
async def create_connection_waits():
    loop = asyncio.get_running_loop()
    with full_listener() as listener:
        address = listener.getsockname()
        async with socket_call(loop.create_connection, Recorder, *address) as task:
            await io_passed()
            assert not task.done()

            async def it_connects():
                listener.accept()[0].close()
                transport, protocol = await task
                transport.abort()
                await protocol.lost()

            yield it_connects


# ---- watches -------------------------------------------------------------------------------------


@contextlib.contextmanager
def watched_writer(sock):
    """A list of a call for each time that the loop has called back."""
    loop = asyncio.get_running_loop()
    calls = []
    loop.add_writer(sock, calls.append, None)
    try:
        yield calls
    finally:
        loop.remove_writer(sock)


@contextlib.asynccontextmanager
async def writer_of(pair):
    with pair() as (ours, peer):
        size = fill(ours)
        half_close(peer)
        with watched_writer(ours) as calls:
            await io_passed()

            async def it_is_called_when_there_is_room():
                assert calls == []
                await receive_exactly(peer, size)
                await until(lambda: calls)
                assert ours.send(b"x") == 1

            yield it_is_called_when_there_is_room


@state
async def a_writer_of_a_peer_that_half_closed():
    async with writer_of(tcp_pair) as ends:
        yield ends


@state
async def a_writer_of_a_unix_peer_that_half_closed():
    async with writer_of(unix_pair) as ends:
        yield ends


@state
async def a_writer_of_a_peer_that_half_closes_and_resets():
    with tcp_pair() as (ours, peer):
        fill(ours)
        half_close(peer)
        with watched_writer(ours) as calls:
            await io_passed()

            async def it_is_called():
                assert calls == []
                reset(peer)
                await until(lambda: calls)

            yield it_is_called


@state
async def a_reader_and_a_writer_of_a_peer_that_half_closed():
    """The reader, which is called for as long as there is the end of file, has gone."""
    loop = asyncio.get_running_loop()
    with tcp_pair() as (ours, peer):
        size = fill(ours)
        ended = loop.create_future()

        def read():
            if ours.recv(10) == b"":
                loop.remove_reader(ours)
                ended.set_result(None)

        loop.add_reader(ours, read)
        with watched_writer(ours) as calls:
            half_close(peer)
            await ended

            async def the_writer_is_called():
                assert calls == []
                await receive_exactly(peer, size)
                await until(lambda: calls)

            yield the_writer_is_called


@state
async def a_removed_writer_of_a_peer_that_half_closed():
    with tcp_pair() as (ours, peer):
        fill(ours)
        half_close(peer)
        with watched_writer(ours) as calls:
            await settled()
        ours.close()

        async def its_peer_hears_of_the_end():
            assert calls == []
            while await asyncio.get_running_loop().sock_recv(peer, 1 << 20):
                pass

        yield its_peer_hears_of_the_end


@state
async def readers_of_what_is_no_socket():
    """They have nothing yet: an eventfd, a pidfd, a pipe, a terminal."""
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        source = os.pipe()
        master, slave = pty.openpty()
        pidfd = os.pidfd_open(os.getpid())
        for fd in (*source, master, slave, pidfd):
            stack.callback(os.close, fd)
        calls = []
        for fd in (source[0], master, slave, pidfd):
            loop.add_reader(fd, calls.append, fd)
            stack.callback(loop.remove_reader, fd)

        async def one_is_called():
            assert calls == []
            os.write(source[1], b"x")
            await until(lambda: calls)
            assert set(calls) == {source[0]}

        yield one_is_called


@state
async def a_poll_of_an_event_channel_for_a_peer_that_half_closed():
    loop = asyncio.get_running_loop()
    with channel_of() as channel, tcp_pair() as (ours, peer):
        size = fill(ours)
        half_close(peer)
        events = []

        def take():
            while (event := channel.next_event()) is not None:
                events.append(event)

        loop.add_reader(channel, take)
        channel.poll(ours, select.POLLOUT)

        async def its_event_comes():
            assert events == []
            await receive_exactly(peer, size)
            await until(lambda: events)
            loop.remove_reader(channel)
            assert [event.type for event in events] == ["poll"]
            assert events[0].result & select.POLLOUT

        yield its_event_comes


# ---- transports that read ------------------------------------------------------------------------


@state
async def a_transport_waits_for_data():
    async with connection(Recorder) as (_, protocol, peer):

        async def it_comes():
            peer.send(b"x")
            assert await protocol.received(1) == b"x"

        yield it_comes


@state
async def a_transport_waits_for_data_after_a_flood():
    """It reads by polls then, not by receives that wait."""
    async with connection(Recorder) as (_, protocol, peer):
        await asyncio.get_running_loop().sock_sendall(peer, DATA)
        await protocol.received(len(DATA))

        async def more_comes():
            peer.send(b"x")
            assert await protocol.received(len(DATA) + 1) == DATA + b"x"

        yield more_comes


@contextlib.asynccontextmanager
async def reading_with_errors(size):
    async with connection(Recorder) as (transport, protocol, peer):
        await asyncio.get_running_loop().sock_sendall(peer, DATA[:size])
        await protocol.received(size)
        keep_errors(transport.get_extra_info("socket")._sock)

        async def more_comes():
            peer.send(b"x")
            assert await protocol.received(size + 1) == DATA[:size] + b"x"

        yield more_comes


@state
async def a_transport_with_an_error_queue_waits_for_data():
    async with reading_with_errors(1) as ends:
        yield ends


@state
async def a_transport_with_an_error_queue_waits_for_data_after_a_flood():
    async with reading_with_errors(len(DATA)) as ends:
        yield ends


@state
async def a_transport_with_urgent_data_waits_for_data():
    async with connection(Recorder) as (_, protocol, peer):
        peer.send(b"!", socket.MSG_OOB)

        async def it_comes():
            peer.send(b"x")
            assert await protocol.received(1) == b"x"

        yield it_comes


@contextlib.asynccontextmanager
async def paused(prepare):
    async with connection(Open) as (transport, protocol, peer):
        await io_passed()
        transport.pause_reading()
        await io_passed()
        prepare(peer)
        yield transport, protocol


@state
async def a_paused_transport_has_data():
    async with paused(lambda peer: peer.send(b"x")) as (transport, protocol):

        async def it_is_delivered():
            assert protocol.data == b""
            transport.resume_reading()
            assert await protocol.received(1) == b"x"

        yield it_is_delivered


@state
async def a_paused_transport_has_the_end_of_file():
    async with paused(half_close) as (transport, protocol):

        async def it_is_told():
            assert "eof_received" not in protocol.names
            transport.resume_reading()
            await protocol.until(lambda: "eof_received" in protocol.names)

        yield it_is_told


@state
async def a_paused_transport_has_a_reset():
    async with paused(reset) as (transport, protocol):

        async def it_is_told():
            transport.resume_reading()
            assert isinstance(await protocol.lost(), ConnectionResetError)

        yield it_is_told


@state
async def a_transport_stays_open_after_the_end_of_file():
    async with connection(Open) as (transport, protocol, peer):
        half_close(peer)
        await protocol.until(lambda: "eof_received" in protocol.names)

        async def it_can_write():
            transport.write(b"x")
            assert await receive_exactly(peer, 1) == b"x"

        yield it_can_write


@state
async def a_transport_stays_open_after_both_ends_of_file():
    async with connection(Open) as (transport, protocol, peer):
        half_close(peer)
        await protocol.until(lambda: "eof_received" in protocol.names)
        transport.write_eof()
        await io_passed()

        async def it_can_be_closed():
            transport.close()
            assert await protocol.lost() is None

        yield it_can_be_closed


@state
async def a_protocol_that_holds_its_quota():
    async with connection(lambda: LeaseRecorder(True, quota=200_000)) as (_, protocol, peer):
        loop = asyncio.get_running_loop()
        async with socket_call(loop.sock_sendall, peer, DATA) as sending:
            await protocol.received(200_000)

            async def it_gets_the_rest():
                assert len(protocol.data) < len(DATA)
                while len(protocol.data) < len(DATA):
                    protocol.release()
                    await asyncio.sleep(0)
                await sending
                protocol.release()
                assert protocol.data == DATA

            yield it_gets_the_rest


# ---- servers and TLS -----------------------------------------------------------------------------


@state
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


@state
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
                while not made:
                    await asyncio.sleep(0.01)
                client.close()
                await made[0].lost()
                assert [context["exception"].errno for context in told] == [errno.EMFILE]

            yield it_recovers


@state
async def a_tls_client_waits_for_the_handshake():
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        address = listener.getsockname()
        async with socket_call(
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


@state
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


# ---- pipes and children --------------------------------------------------------------------------


@state
async def a_pipe_without_data():
    protocol = Recorder()
    async with reading_pipe(protocol) as (_, writer):

        async def it_comes():
            writer.write(b"x")
            assert await protocol.received(1) == b"x"

        yield it_comes


@state
async def a_full_pipe_whose_reader_lives():
    protocol = Recorder()
    async with writing_pipe(protocol) as (transport, reader):
        transport.write(DATA)
        assert transport.get_write_buffer_size() > 0

        async def it_is_read():
            received = bytearray()
            while len(received) < len(DATA):
                received += reader.read(1 << 20) or b""
                await asyncio.sleep(0)
            assert received == DATA

        yield it_is_read


@state
async def a_full_pipe_that_is_a_socket():
    loop = asyncio.get_running_loop()
    protocol = Recorder()
    with unix_pair() as (ours, peer):
        transport, _ = await loop.connect_write_pipe(lambda: protocol, ours)
        transport.write(DATA)
        assert transport.get_write_buffer_size() > 0

        async def it_is_read():
            assert await receive_exactly(peer, len(DATA)) == DATA
            transport.close()
            await protocol.lost()

        yield it_is_read


@state
async def a_terminal_that_takes_no_more():
    loop = asyncio.get_running_loop()
    protocol = Recorder()
    master, slave = pty.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    transport, _ = await loop.connect_write_pipe(lambda: protocol, os.fdopen(slave, "wb", 0))
    transport.write(DATA[:100_000])
    assert transport.get_write_buffer_size() > 0

    async def it_is_read():
        received = bytearray()
        while len(received) < 100_000:
            with contextlib.suppress(BlockingIOError):
                received += os.read(master, 65536)
            await asyncio.sleep(0)
        assert received == DATA[:100_000]
        transport.close()
        await protocol.lost()
        os.close(master)

    yield it_is_read


@state
async def a_terminal_whose_other_side_has_gone():
    loop = asyncio.get_running_loop()
    protocol = Recorder()
    master, slave = pty.openpty()
    tty.setraw(slave)
    pipe = os.fdopen(master, "wb", 0)
    transport, _ = await loop.connect_write_pipe(lambda: protocol, pipe)
    transport.write(DATA)
    name = os.ttyname(slave)
    os.close(slave)
    before = transport.get_write_buffer_size()
    assert before > 0

    async def it_goes_on_with_another():
        again = os.open(name, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        while transport.get_write_buffer_size() == before:
            with contextlib.suppress(BlockingIOError):
                os.read(again, 65536)
            await asyncio.sleep(0)
        transport.abort()
        await protocol.lost()
        await closed(pipe)
        os.close(again)

    yield it_goes_on_with_another


@state
async def a_terminal_that_is_stopped():
    """Ctrl-S: it takes nothing, and there is room."""
    loop = asyncio.get_running_loop()
    protocol = Recorder()
    master, slave = pty.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    pipe = os.fdopen(slave, "wb", 0)
    transport, _ = await loop.connect_write_pipe(lambda: protocol, pipe)
    termios.tcflow(slave, termios.TCOOFF)
    transport.write(b"x")
    assert transport.get_write_buffer_size() == 1

    async def it_goes_on():
        termios.tcflow(slave, termios.TCOON)
        await until(lambda: transport.get_write_buffer_size() == 0)
        assert os.read(master, 10) == b"x"
        transport.close()
        await protocol.lost()
        await closed(pipe)
        os.close(master)

    yield it_goes_on


@state
async def a_childs_pipe_that_a_grandchild_holds():
    """The child has ended; its own child keeps its output open until it has read something."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c",
        "import os; os.fork() and os._exit(7); os.write(1, os.read(0, 10))",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    reading = asyncio.ensure_future(process.stdout.read())
    while process.returncode is None:
        await asyncio.sleep(0.01)

    async def it_ends():
        assert process.returncode == 7
        assert not reading.done()
        process.stdin.write(b"late")
        assert await reading == b"late"
        assert await process.wait() == 7

    yield it_ends


# ---- datagrams -----------------------------------------------------------------------------------


def udp_socket():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock


def keep_a_refusal(sock):
    """In the socket's error queue: what it sent to was nobody's."""
    sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    with udp_socket() as nobody:
        address = nobody.getsockname()
    sock.sendto(b"x", address)
    with contextlib.suppress(ConnectionRefusedError):
        sock.recv(1)  # the error itself; its queue keeps it
        raise AssertionError("it was not refused")
    poller = select.poll()
    poller.register(sock, 0)
    assert poller.poll(0)[0][1] & select.POLLERR


@contextlib.asynccontextmanager
async def datagrams(sock):
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(DatagramRecorder, sock=sock)
    try:
        yield transport, protocol
    finally:
        transport.abort()
        await protocol.lost()


@state
async def an_endpoint_with_a_refused_peer():
    with udp_socket() as nobody:
        address = nobody.getsockname()
    ours = udp_socket()
    ours.connect(address)
    async with datagrams(ours) as (transport, protocol):
        transport.sendto(b"x")
        await protocol.until(lambda: protocol.errors)

        async def it_receives():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
                peer.bind(address)
                peer.sendto(b"x", transport.get_extra_info("sockname"))
                assert await protocol.received(1) == [b"x"]

        yield it_receives


@state
async def an_endpoint_with_an_error_queue():
    ours = udp_socket()
    keep_a_refusal(ours)
    async with datagrams(ours) as (transport, protocol):

        async def it_receives():
            with udp_socket() as peer:
                peer.sendto(b"x", transport.get_extra_info("sockname"))
                assert await protocol.received(1) == [b"x"]

        yield it_receives


@state
async def an_endpoint_whose_peer_has_no_room():
    loop = asyncio.get_running_loop()
    ours, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    peer.setblocking(False)
    with peer:
        async with datagrams(ours) as (transport, _):
            count = 0
            while transport.get_write_buffer_size() == 0:
                transport.sendto(b"%d" % count)
                count += 1
                await asyncio.sleep(0)

            async def all_arrive():
                for number in range(count):
                    assert await loop.sock_recv(peer, 100) == b"%d" % number

            yield all_arrive


@contextlib.contextmanager
def unix_receiver():
    """A Unix socket that somebody else has sent so much that it takes no more; its name."""
    with (
        tempfile.TemporaryDirectory() as directory,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other,
    ):
        receiver.setblocking(False)
        other.setblocking(False)
        path = f"{directory}/receiver"
        receiver.bind(path)
        with contextlib.suppress(BlockingIOError):
            while True:
                other.sendto(b"other", path)
        yield receiver, path


@state
async def an_endpoint_whose_receiver_has_no_room_for_anybody():
    loop = asyncio.get_running_loop()
    with unix_receiver() as (receiver, path):
        ours = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        async with datagrams(ours) as (transport, protocol):
            for number in range(100):
                transport.sendto(b"%d" % number, path)
            assert transport.get_write_buffer_size() > 0

            async def all_arrive():
                received = []
                while len(received) < 100:
                    data = await loop.sock_recv(receiver, 100)
                    received += [data] if data != b"other" else []
                assert received == [b"%d" % number for number in range(100)]
                assert protocol.errors == []

            yield all_arrive


@state
async def an_aborted_endpoint_whose_receiver_has_no_room():
    with unix_receiver() as (_, path):
        ours = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        async with datagrams(ours) as (transport, protocol):
            transport.sendto(b"x", path)
            await settled()
            transport.abort()
            await protocol.lost()

            async def it_is_gone():
                await gone(transport)

            yield it_is_gone


@state
async def an_endpoint_whose_receiver_without_room_closes():
    with unix_receiver() as (receiver, path):
        ours = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        async with datagrams(ours) as (transport, protocol):
            transport.sendto(b"x", path)

            async def it_is_told():
                receiver.close()
                await protocol.until(lambda: protocol.errors)
                assert isinstance(protocol.errors[0], ConnectionRefusedError)

            yield it_is_told


@state
async def sock_sendto_a_receiver_without_room():
    loop = asyncio.get_running_loop()
    with (
        unix_receiver() as (receiver, path),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours,
    ):
        ours.setblocking(False)
        async with socket_call(loop.sock_sendto, ours, b"x", path) as task:

            async def it_arrives():
                while await loop.sock_recv(receiver, 100) != b"x":
                    pass
                assert await task == 1

            yield it_arrives


@state
async def an_endpoint_of_the_newest_with_an_error_queue():
    """Its thread sleeps, too: it is not woken."""
    ours = udp_socket()
    keep_a_refusal(ours)
    async with datagrams(ours) as (transport, protocol):
        transport.set_receive_policy("latest")
        await settled()
        before = switches_of_threads()
        await asyncio.sleep(IDLE_SECONDS)
        assert switches_of_threads() - before <= 2

        async def it_receives():
            with udp_socket() as peer:
                peer.sendto(b"x", transport.get_extra_info("sockname"))
                assert await protocol.received(1) == [b"x"]

        yield it_receives


def switches_of_threads():
    """How often any thread but this one has gone to sleep."""
    count = 0
    for task in pathlib.Path("/proc/self/task").iterdir():
        if int(task.name) != threading.get_native_id():
            status = (task / "status").read_text()
            count += int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", status, re.MULTILINE)[1])
    return count


# ---- nothing at all ------------------------------------------------------------------------------


@state
async def a_future():
    future = asyncio.get_running_loop().create_future()

    async def it_is_done():
        future.get_loop().call_soon_threadsafe(future.set_result, 1)
        assert await future == 1

    yield it_is_done


@pytest.mark.parametrize("name", STATES)
async def test_the_turn_counter_stands_still_and_the_wait_ends(name):
    async with STATES[name]() as ends:
        await settled()
        turns = [await turns_in(IDLE_SECONDS) for _ in range(MEASUREMENTS)]
        assert min(turns) == TURNS_OF_A_TIMER and max(turns) < TURNS_MAX, turns
        await ends()


def test_there_are_at_least_twenty_states():
    assert len(STATES) >= 20
