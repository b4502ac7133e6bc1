"""One owner at a time; the others post."""

import errno
import os
import signal
import threading

import pytest
from channels import PATIENCE, by_type, channel_of, is_readable, next_of
from peers import unix_pair

import zcloop
from zcloop import requests

pytestmark = pytest.mark.zcloop_only


def in_thread(function):
    """What the function returns in a thread of its own, or the exception that it raises.

    The kernel knows the thread no more then, which join() alone does not promise.
    """
    result = []

    def body():
        try:
            result.append(function())
        except BaseException as error:
            result.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    while os.path.exists(f"/proc/self/task/{thread.native_id}"):
        os.sched_yield()
    return result[0]


OWNERS_ALONE = {
    "next_event": lambda channel: channel.next_event(),
    "wait": lambda channel: channel.wait(),
    "events": lambda channel: list(channel.events()),
    "recv": lambda channel: channel.recv(0, bytearray(1)),
    "submit": lambda channel: channel.submit([requests.timeout(1)]),
    "cancel": lambda channel: channel.cancel(requests.timeout(1)),
    "take_dropped": lambda channel: channel.take_dropped(),
    "close": lambda channel: channel.close(),
}


@pytest.mark.parametrize("call", OWNERS_ALONE.values(), ids=OWNERS_ALONE)
def test_other_threads_are_told_what_they_may_do(call):
    with channel_of() as channel:
        error = in_thread(lambda: call(channel))
        assert type(error) is RuntimeError
        assert "post()" in str(error) and "take_over()" in str(error)
        assert channel.inflight == 0


def test_any_thread_posts_and_polls():
    with channel_of() as channel:
        in_thread(lambda: channel.post("word"))
        assert in_thread(lambda: is_readable(channel))
        event = channel.next_event()
        assert (event.type, event.source, event.data) == ("post", None, "word")


def test_a_post_wakes_a_waiting_owner():
    with channel_of() as channel:
        for number in range(50):
            thread = threading.Thread(target=channel.post, args=[number])
            thread.start()
            assert next_of(channel).data == number
            thread.join()


def test_nothing_is_lost_of_what_many_threads_post():
    threads, each = 4, 2500
    with channel_of(64) as channel:

        def post(first):
            for number in range(first, first + each):
                channel.post(number)

        posters = [threading.Thread(target=post, args=[n * each]) for n in range(threads)]
        for poster in posters:
            poster.start()
        seen = []
        while len(seen) < threads * each:
            event = next_of(channel)
            if event.type == "post":
                seen.append(event.data)
        for poster in posters:
            poster.join()
        list(channel.events())  # the overflow's, if it comes last
        assert sorted(seen) == list(range(threads * each))
        for first in range(0, threads * each, each):
            assert [n for n in seen if first <= n < first + each] == list(
                range(first, first + each)
            )


def test_requests_go_on_under_a_new_owner():
    with channel_of() as channel, unix_pair() as (ours, peer):
        channel.recv(ours, bytearray(1), data="asked by the first")

        def second():
            channel.take_over()
            peer.send(b"x")
            return next_of(channel)

        assert in_thread(second).data == "asked by the first"
        with pytest.raises(RuntimeError, match=r"take_over\(\)"):
            channel.next_event()
        channel.take_over()
        assert channel.next_event() is None


@pytest.mark.parametrize("waits", ["wait", "submit"])
def test_taking_over_ends_the_wait_of_the_owner(waits):
    channel = zcloop.EventChannel()
    is_there = threading.Event()
    seen = []

    def first():
        channel.take_over()
        is_there.set()
        with pytest.raises(RuntimeError, match="belongs to another thread"):
            if waits == "wait":
                seen.append(channel.wait())
            else:
                channel.submit([requests.timeout(1000)], wait=True)

    thread = threading.Thread(target=first)
    thread.start()
    is_there.wait()
    channel.take_over()
    thread.join()
    assert seen == []
    channel.close()


def test_the_owner_changes_again_and_again_and_every_event_is_taken_once():
    seen = []
    with channel_of() as channel:

        def take_some():
            for _ in range(200):
                try:
                    channel.take_over()
                    event = channel.wait(0.0001)
                except RuntimeError:
                    continue
                if event is not None:
                    seen.append(event.data)

        takers = [threading.Thread(target=take_some) for _ in range(4)]
        for taker in takers:
            taker.start()
        for number in range(1000):
            channel.post(number)
        for taker in takers:
            taker.join()
        channel.take_over()
        seen += [event.data for event in channel.events() if event.type == "post"]
        assert sorted(number for number in seen if number is not None) == list(range(1000))


ASKS = {
    "recv": lambda channel, sock, buffer: channel.recv(sock, buffer),
    "recvfrom": lambda channel, sock, buffer: channel.recvfrom(sock, buffer),
    "read": lambda channel, sock, buffer: channel.read(sock, buffer),
    "poll": lambda channel, sock, buffer: channel.poll(sock, 1),
}


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
def test_requests_outlive_the_thread_that_made_them(ask):
    with channel_of() as channel, unix_pair() as (ours, peer):
        buffer = bytearray(4)
        in_thread(lambda: (channel.take_over(), ask(channel, ours, buffer)))
        channel.take_over()
        peer.send(b"data")
        assert next_of(channel).errno == 0
        channel.recv(ours, bytearray(4), data="next")
        peer.send(b"more")
        events = [next_of(channel)]
        assert events[0].data == "next"


def test_one_that_is_cancelled_after_its_thread_has_ended_is_cancelled():
    with channel_of() as channel, unix_pair() as (ours, _):

        def ask():
            channel.take_over()
            return channel.recv(ours, bytearray(1))

        request = in_thread(ask)
        channel.take_over()
        channel.cancel(request)
        assert by_type(channel, 2)["recv"].errno == errno.ECANCELED


def test_a_link_ends_with_its_thread():
    with channel_of() as channel, unix_pair() as (ours, peer):

        def ask():
            channel.take_over()
            batch = [requests.recv(ours, bytearray(1)), requests.send(ours, b"x")]
            channel.submit(batch, mode="linked")

        in_thread(ask)
        channel.take_over()
        peer.send(b"x")
        # Over epoll nothing of a request is the asking thread's.
        expected = {"uring": errno.ECANCELED, "epoll": 0}[channel.backend]
        assert [next_of(channel).errno for _ in range(2)] == [expected] * 2


def test_signal_handlers_run_while_the_owner_waits():
    caught = []
    previous = signal.signal(signal.SIGUSR1, lambda *_: caught.append(channel.post("handled")))
    try:
        with channel_of() as channel:
            main = threading.main_thread().ident
            sender = threading.Timer(0.01, signal.pthread_kill, [main, signal.SIGUSR1])
            sender.start()
            assert next_of(channel).data == "handled"
            sender.join()
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert caught == [None]


def test_an_exception_of_a_signal_handler_ends_the_wait_and_loses_nothing():
    class InterruptedHereError(Exception):
        pass

    def handler(*_):
        channel.post("kept")
        raise InterruptedHereError

    previous = signal.signal(signal.SIGUSR1, handler)
    try:
        with channel_of() as channel:
            main = threading.main_thread().ident
            sender = threading.Timer(0.01, signal.pthread_kill, [main, signal.SIGUSR1])
            sender.start()
            with pytest.raises(InterruptedHereError):
                channel.wait(PATIENCE)
            sender.join()
            assert next_of(channel).data == "kept"
    finally:
        signal.signal(signal.SIGUSR1, previous)
