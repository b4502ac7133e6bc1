"""EventChannel.connect, where there is no room for the connection yet."""

import contextlib
import errno
import select
import socket

import pytest

from zcloop import EventChannel


@contextlib.contextmanager
def full_listener(path):
    with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as stack:
        listener.bind(path)
        listener.listen(1)
        with contextlib.suppress(BlockingIOError):
            while True:
                client = stack.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                client.connect(path)
        yield listener


def test_a_socket_that_does_not_block_is_refused_by_a_full_backlog(tmp_path):
    path = str(tmp_path / "socket")
    with full_listener(path), EventChannel() as channel, socket.socket(socket.AF_UNIX) as client:
        client.setblocking(False)
        channel.connect(client, path)
        event = channel.wait(10)
        assert event.errno == errno.EAGAIN
        with pytest.raises(BlockingIOError):
            event.check()


def test_a_socket_that_blocks_waits_for_room_in_a_full_backlog(tmp_path):
    path = str(tmp_path / "socket")
    with (
        full_listener(path) as listener,
        EventChannel() as channel,
        socket.socket(socket.AF_UNIX) as client,
        contextlib.ExitStack() as stack,
    ):
        channel.connect(client, path)
        assert not select.select([channel], [], [], 0.1)[0]
        while (event := channel.next_event()) is None:
            if select.select([listener], [], [], 0)[0]:
                stack.enter_context(listener.accept()[0])
            select.select([channel], [], [], 0.01)
        assert event.check() == 0
        assert client.getpeername() == path


def test_waiting_for_room_in_a_full_backlog_can_be_cancelled(tmp_path):
    path = str(tmp_path / "socket")
    with full_listener(path), EventChannel() as channel, socket.socket(socket.AF_UNIX) as client:
        request = channel.connect(client, path)
        assert not select.select([channel], [], [], 0.1)[0]
        channel.cancel(request)
        events = {event.type: event for event in (channel.wait(10), channel.wait(10))}
        assert events["connect"].errno in (errno.ECANCELED, errno.EINTR)
