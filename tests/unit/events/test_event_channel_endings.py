"""How requests end early: cancelled, or with their channel; and what a fork leaves."""

import errno
import gc
import select
import socket
import weakref

import pytest
from channels import PATIENCE, by_type, channel_of, next_of, take
from peers import script, unix_pair

import zcloop
from zcloop import requests

pytestmark = pytest.mark.zcloop_only


def test_a_cancelled_request_has_its_event_and_the_cancelling_one_of_its_own():
    with channel_of() as channel, unix_pair() as (ours, peer):
        request = channel.recv(ours, bytearray(1), data="asked")
        cancelling = channel.cancel(request, data="cancelling")
        assert request.is_pending and cancelling.is_pending
        events = by_type(channel, 2)
        assert (events["recv"].errno, events["recv"].data) == (errno.ECANCELED, "asked")
        assert (events["cancel"].result, events["cancel"].data) == (0, "cancelling")
        assert events["cancel"].source is request
        peer.send(b"not taken")
        assert ours.recv(100) == b"not taken"


@pytest.mark.parametrize(
    "request_of",
    [
        lambda channel, sock: channel.recvfrom(sock, bytearray(1)),
        lambda channel, sock: channel.read(sock, bytearray(1)),
        lambda channel, sock: channel.poll(sock, 1),
        lambda channel, sock: channel.timeout(1000),
    ],
    ids=["recvfrom", "read", "poll", "timeout"],
)
def test_what_waits_can_be_cancelled(request_of):
    with channel_of() as channel, unix_pair() as (ours, _):
        request = request_of(channel, ours)
        channel.cancel(request)
        assert by_type(channel, 2)[request.type].errno == errno.ECANCELED


def test_cancelling_what_is_over_says_so():
    with channel_of() as channel:
        request = channel.timeout(0)
        assert next_of(channel).result == 0
        channel.cancel(request)
        assert next_of(channel).errno == errno.ENOENT
        channel.cancel(requests.timeout(1))  # which was never submitted
        assert next_of(channel).errno == errno.ENOENT


def test_cancelling_what_has_completed_leaves_its_event():
    with channel_of() as channel, unix_pair() as (ours, peer):
        request = channel.recv(ours, bytearray(1))
        peer.send(b"x")
        assert select.select([channel], [], [], PATIENCE)[0]
        channel.cancel(request)
        events = by_type(channel, 2)
        assert (events["recv"].result, events["cancel"].errno) == (1, errno.ENOENT)


def test_a_place_in_the_table_that_is_used_again_is_another_request():
    with channel_of() as channel, unix_pair() as (ours, _):
        old = channel.timeout(0)
        next_of(channel)
        new = channel.recv(ours, bytearray(1))
        channel.cancel(old)
        assert next_of(channel).errno == errno.ENOENT
        assert new.is_pending
        channel.cancel(new)
        take(channel, 2)


def test_close_ends_what_is_in_flight_and_frees_its_memory():
    channel = zcloop.EventChannel()
    pairs = [socket.socketpair() for _ in range(100)]
    buffers = [bytearray(8) for _ in pairs]
    in_flight = [
        channel.recv(ours, buffer) for (ours, _), buffer in zip(pairs, buffers, strict=True)
    ]
    channel.timeout(1000)
    channel.close()
    assert not any(request.is_pending for request in in_flight)
    for (ours, peer), buffer in zip(pairs, buffers, strict=True):
        buffer.clear()  # no export is left
        peer.send(b"not taken")
        assert ours.recv(100) == b"not taken"
        ours.close()
        peer.close()


def test_close_with_events_that_nobody_took(tmp_path):
    (tmp_path / "file").touch()
    with zcloop.EventChannel(4) as channel:
        for _ in range(1000):
            channel.post()
        for _ in range(10):
            channel.open(tmp_path / "file")  # whose fds nobody takes
    assert channel.inflight == 0


def test_close_closes_a_connection_that_nobody_took():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        channel = zcloop.EventChannel()
        channel.accept(listener)
        with socket.create_connection(listener.getsockname()) as peer:
            assert select.select([channel], [], [], PATIENCE)[0]
            channel.close()
            assert peer.recv(1) == b""


def test_close_waits_for_the_disk(tmp_path):
    """What cannot be cancelled ends first: its memory is not given up under the kernel."""
    with (tmp_path / "file").open("w+b", buffering=0) as file:
        channel = zcloop.EventChannel()
        data = bytes(1 << 20)
        for number in range(32):
            channel.write(file, data, number << 20)
            channel.fsync(file)
        channel.close()
        assert channel.inflight == 0


def test_data_and_sources_are_let_go_with_their_events():
    class Thing:
        pass

    with channel_of() as channel:
        things = [Thing() for _ in range(3)]
        references = [weakref.ref(thing) for thing in things]
        channel.post(things.pop())
        assert next_of(channel).data is not None
        assert references[2]() is None
        channel.timeout(1000, data=things.pop())
        request = channel.timeout(0, data=things.pop())
        next_of(channel)
        del request
        assert references[0]() is None
        assert references[1]() is not None
        (pending,) = (r for r in gc.get_objects() if getattr(r, "source", None) == 1000)
        channel.cancel(pending)
        take(channel, 2)


def test_a_forked_child_may_only_close_and_the_parent_goes_on():
    output = script(
        """
        import zcloop
        from zcloop import requests
        ours, peer = socket.socketpair()
        channel = zcloop.EventChannel()
        fd = channel.fileno()
        buffer = bytearray(5)
        channel.recv(ours, buffer)
        channel.post("kept")
        child = os.fork()
        if child == 0:
            for call in (channel.next_event, channel.wait, channel.post, channel.fileno,
                         channel.take_over, channel.take_dropped, lambda: channel.timeout(1),
                         lambda: channel.submit([requests.timeout(1)])):
                try:
                    call()
                except RuntimeError as error:
                    assert "after fork() a child must make its own" in str(error)
                else:
                    os._exit(1)
            assert not os.path.exists(f"/proc/self/fd/{fd}")
            channel.close()
            channel.close()
            with zcloop.EventChannel() as own:
                own.post("own")
                assert own.wait(10).data == "own"
            os._exit(0)
        assert os.waitpid(child, 0) == (child, 0)
        peer.send(b"hello")
        print(channel.wait(10).data, channel.wait(10).result, buffer)
        channel.close()
        ours.close()
        peer.close()
        """
    )
    assert output == "kept 5 bytearray(b'hello')\n"


def test_a_child_that_lives_on_keeps_nothing_of_a_closed_channel():
    output = script(
        """
        import zcloop
        ours, peer = socket.socketpair()
        channel = zcloop.EventChannel()
        channel.recv(ours, bytearray(1))
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(writer)
            ours.close()
            peer.close()
            os.read(reader, 1)
            os._exit(0)
        channel.close()
        ours.close()
        print(peer.recv(1))
        os.close(writer)
        peer.close()
        os.waitpid(child, 0)
        """
    )
    assert output == "b''\n"


def test_an_interpreter_ends_with_requests_in_flight():
    output = script(
        """
        import zcloop
        ours, peer = socket.socketpair()
        channel = zcloop.EventChannel()
        channel.recv(ours, bytearray(1))
        os.write(1, b"done")
        os._exit(0)
        """
    )
    assert output == "done"
