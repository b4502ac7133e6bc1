"""What a socket is asked for through a channel: aio_recv ... aio_sendmsg."""

import array
import errno
import os
import socket

import pytest
from channels import by_type, channel_of, next_of, take
from peers import PAIRS, fill, payload, unix_pair

import zcloop
from zcloop import requests

pytestmark = pytest.mark.zcloop_only

# Whether a socket blocks makes no difference: a request waits in the kernel.
BLOCKING = pytest.mark.parametrize("blocking", [True, False])


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
@BLOCKING
def test_recv_waits_and_send_arrives(pair, blocking):
    with channel_of() as channel, pair() as (ours, peer):
        ours.setblocking(blocking)
        peer.setblocking(blocking)
        buffer = bytearray(100)
        channel.recv(ours, buffer)
        assert channel.next_event() is None
        channel.send(peer, b"hello")
        events = by_type(channel, 2)
        assert (events["send"].result, events["recv"].result) == (5, 5)
        assert buffer[:5] == b"hello"


@BLOCKING
def test_send_waits_for_room(blocking):
    with channel_of() as channel, unix_pair() as (ours, peer):
        fill(ours)
        ours.setblocking(blocking)
        channel.send(ours, b"late")
        assert channel.next_event() is None
        received = b""
        peer.setblocking(True)
        while not received.endswith(b"late"):
            received += peer.recv(1 << 20)
        assert next_of(channel).result == 4


def test_the_end_of_a_stream_is_a_result_of_0():
    with channel_of() as channel, unix_pair() as (ours, peer):
        channel.recv(ours, bytearray(1))
        peer.shutdown(socket.SHUT_WR)
        assert next_of(channel).result == 0


def test_a_reset_peer_is_an_errno_and_no_signal():
    with channel_of() as channel, unix_pair() as (ours, peer):
        peer.close()
        channel.send(ours, b"x")
        assert next_of(channel).errno == errno.EPIPE


def test_flags_are_the_system_calls():
    with channel_of() as channel, unix_pair() as (ours, peer):
        buffer = bytearray(4)
        channel.recv(ours, buffer, socket.MSG_DONTWAIT)
        assert next_of(channel).errno == errno.EAGAIN
        peer.send(b"ab")
        channel.recv(ours, buffer, socket.MSG_PEEK)
        channel.recv(ours, buffer, socket.MSG_WAITALL)
        assert next_of(channel).result == 2
        peer.send(b"cd")
        assert next_of(channel).result == 4
        assert buffer == b"abcd"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_datagrams_with_their_addresses(host):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with (
        channel_of() as channel,
        socket.socket(family, socket.SOCK_DGRAM) as ours,
        socket.socket(family, socket.SOCK_DGRAM) as peer,
    ):
        ours.bind((host, 0))
        peer.bind((host, 0))
        buffer = bytearray(10)
        channel.recvfrom(ours, buffer)
        channel.sendto(peer, b"ping", ours.getsockname())
        events = by_type(channel, 2)
        assert events["recvfrom"].result == (4, peer.getsockname())
        assert (events["sendto"].result, buffer[:4]) == (4, b"ping")


@pytest.mark.parametrize("name", ["socket", b"bytes", "\0abstract"])
def test_unix_datagrams(tmp_path, name):
    if name != "\0abstract":
        name = os.path.join(os.fsencode(tmp_path), os.fsencode(name)).decode()
    else:
        name += str(os.getpid())
    with (
        channel_of() as channel,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer,
    ):
        ours.bind(name)
        buffers = bytearray(2), bytearray(10)
        channel.recvmsg(ours, buffers)
        channel.sendmsg(peer, [b"pi", b"ng"], address=name)
        events = by_type(channel, 2)
        assert events["sendmsg"].result == 4
        assert events["recvmsg"].result == (4, [], 0, None)
        assert (buffers[0], buffers[1][:2]) == (b"pi", b"ng")


def test_descriptors_travel_and_are_close_on_exec():
    with channel_of() as channel, unix_pair() as (ours, peer):
        channel.recvmsg(ours, [bytearray(1)], socket.CMSG_SPACE(8))
        fds = array.array("i", [ours.fileno(), peer.fileno()])
        channel.sendmsg(peer, [b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
        count, ancillary, flags, _ = by_type(channel, 2)["recvmsg"].result
        assert (count, flags & socket.MSG_CTRUNC) == (1, 0)
        ((level, kind, data),) = ancillary
        assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
        for fd, original in zip(array.array("i", data), (ours, peer), strict=True):
            assert os.path.sameopenfile(fd, original.fileno())
            assert not os.get_inheritable(fd)
            os.close(fd)


def test_a_message_that_is_longer_than_its_buffer_says_so():
    with channel_of() as channel, unix_pair(socket.SOCK_DGRAM) as (ours, peer):
        peer.send(b"abcdef")
        channel.recvmsg(ours, [bytearray(3)])
        assert next_of(channel).result[0::2] == (3, socket.MSG_TRUNC)


@BLOCKING
def test_accept_and_connect(blocking):
    with (
        channel_of() as channel,
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.socket() as ours,
    ):
        listener.setblocking(blocking)
        ours.setblocking(blocking)
        channel.accept(listener, socket.SOCK_NONBLOCK)
        channel.connect(ours, listener.getsockname())
        events = by_type(channel, 2)
        assert events["connect"].result == 0
        with socket.socket(fileno=events["accept"].result) as peer:
            assert not os.get_blocking(peer.fileno())
            assert not peer.get_inheritable()
            assert peer.getpeername() == ours.getsockname()


def test_a_refused_connection_is_an_errno():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    with channel_of() as channel, socket.socket() as ours:
        channel.connect(ours, address)
        with pytest.raises(ConnectionRefusedError):
            next_of(channel).check()


def test_sockets_are_read_and_written_as_files_are():
    with channel_of() as channel, unix_pair() as (ours, peer):
        buffers = bytearray(2), bytearray(2)
        channel.readv(ours, buffers)
        channel.writev(peer.fileno(), [b"a", b"bcd"])
        assert {event.result for event in take(channel, 2)} == {4}
        assert buffers == (bytearray(b"ab"), bytearray(b"cd"))


def test_buffers_that_are_pre_posted_in_a_link_are_filled_in_order():
    data = payload(64 * 100)
    with channel_of() as channel, unix_pair() as (ours, peer):
        buffers = [bytearray(100) for _ in range(64)]
        channel.submit(
            [requests.recv(ours, buffer, data=number) for number, buffer in enumerate(buffers)],
            mode="linked",
        )
        peer.sendall(data)
        events = take(channel, 64)
        assert [(event.data, event.result) for event in events] == [(n, 100) for n in range(64)]
        assert b"".join(buffers) == data


def test_connections_go_to_waiting_accepts_in_their_order():
    with channel_of() as channel, socket.create_server(("127.0.0.1", 0)) as listener:
        for number in range(5):
            channel.accept(listener, data=number)
        for number in range(5):
            with socket.create_connection(listener.getsockname()):
                event = next_of(channel)
                assert event.data == number
                socket.close(event.result)


def test_an_echo_server_of_many_connections_on_one_channel():
    with channel_of() as channel:
        pairs = [socket.socketpair() for _ in range(100)]
        for ours, _ in pairs:
            channel.recv(ours, buffer := bytearray(16), data=buffer)
        for number, (_, peer) in enumerate(pairs):
            peer.send(b"%d" % number)
        echoed = 0
        while echoed < len(pairs):
            event = next_of(channel)
            if event.type == "recv":
                channel.send(event.source, event.data[: event.result])
            elif event.type == "send":
                echoed += 1
        for number, (ours, peer) in enumerate(pairs):
            assert peer.recv(16) == b"%d" % number
            ours.close()
            peer.close()
        list(channel.events())


@pytest.mark.needs("registered_buffers")
def test_a_socket_is_read_and_written_through_registered_memory_by_read_and_write():
    """recv() and send() use the same memory as any other."""
    data = payload(1000)
    with (
        channel_of() as channel,
        unix_pair() as (ours, peer),
        zcloop.Region(1 << 20) as region,
        region.reserve(len(data)) as view,
    ):
        peer.sendall(data)
        channel.recv(ours, view)
        assert next_of(channel).result == len(data)
        channel.send(ours, view)
        assert next_of(channel).result == len(data)
        assert peer.recv(2000) == data
        assert channel.statistics()["pinned"] == 0
        peer.sendall(data[::-1])
        channel.read(ours, view)
        assert next_of(channel).result == len(data)
        channel.write(ours, view)
        assert next_of(channel).result == len(data)
        assert peer.recv(2000) == data[::-1]
        assert channel.statistics()["pinned"] == region.size
