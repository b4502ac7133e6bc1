"""Whether the collector is on is the program's to say: whatever it calls finds it as it has set it,
and so does who comes after a run, however that has ended."""

import contextlib
import gc
import logging
import signal
import threading

import pytest
from peers import unix_pair
from recording import Recorder
from waits import child


@pytest.fixture(params=[True, False], ids=["on", "off"])
def is_on(request):
    before = gc.isenabled()
    (gc.enable if request.param else gc.disable)()
    yield request.param
    (gc.enable if before else gc.disable)()


def raises(error):
    raise error


class Calls(Recorder):
    def __init__(self, call):
        super().__init__()
        self.call = call

    def data_received(self, data):
        self.call()


@contextlib.contextmanager
def received(loop, call):
    """In the run, `call` is called by a protocol that has received something."""
    with unix_pair() as (ours, peer):
        transport, protocol = loop.run_until_complete(
            loop.create_connection(lambda: Calls(call), sock=ours)
        )
        peer.send(b"x")
        try:
            yield
        finally:
            transport.abort()
            loop.run_until_complete(protocol.lost())


@contextlib.contextmanager
def readable(loop, call):
    with unix_pair() as (ours, peer):
        peer.send(b"x")
        loop.add_reader(ours, call)
        try:
            yield
        finally:
            loop.remove_reader(ours)


@contextlib.contextmanager
def soon(loop, call):
    loop.call_soon(call)
    yield


@contextlib.contextmanager
def by_signal(loop, call):
    """While it sleeps."""
    before = signal.signal(signal.SIGUSR1, lambda *_: call())
    timer = threading.Timer(0.01, signal.raise_signal, (signal.SIGUSR1,))
    timer.start()
    try:
        yield
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)


WAYS = [soon, readable, received, by_signal]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_it_is_as_before_after_a_run_that_an_exception_ends(loop, is_on, way, error):
    with way(loop, lambda: raises(error)), pytest.raises(error):
        loop.run_forever()
    assert gc.isenabled() == is_on


@pytest.mark.parametrize("way", WAYS)
def test_what_the_program_sets_in_the_run_holds(loop, is_on, way):
    seen = []

    def call():
        seen.append(gc.isenabled())
        (gc.disable if is_on else gc.enable)()
        loop.stop()

    with way(loop, call):
        loop.run_forever()
        assert gc.isenabled() != is_on
    assert seen[0] == is_on


@pytest.mark.parametrize("way", WAYS)
def test_a_forked_child_has_it_as_it_was(loop, is_on, way):
    def call():
        with child(lambda: None if gc.isenabled() == is_on else raises(AssertionError)):
            pass
        loop.stop()

    with way(loop, call):
        loop.run_forever()
    assert gc.isenabled() == is_on


def test_another_thread_sees_and_sets_it_while_the_loop_sleeps(loop, is_on):
    seen = []

    def other():
        seen.append(gc.isenabled())
        (gc.disable if is_on else gc.enable)()
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Timer(0.01, other)
    thread.start()
    loop.run_forever()
    thread.join()
    assert (seen, gc.isenabled()) == ([is_on], not is_on)


class Waits:
    """A callback whose end lets another thread run."""

    def __init__(self, ended, may_go_on):
        self.ended = ended
        self.may_go_on = may_go_on

    def __call__(self):
        pass

    def __del__(self):
        self.ended.set()
        self.may_go_on.wait()


def test_two_loops_in_two_threads_leave_it_as_it_was(loop, loop_factory, is_on):
    """Also when one of them lets go of the other in the middle of a call."""
    ended, may_go_on, left = threading.Event(), threading.Event(), threading.Event()
    seen = []

    def call(other):
        seen.append(gc.isenabled())
        may_go_on.set()
        left.wait()
        other.stop()

    def run_other():
        other = loop_factory()
        with contextlib.closing(other):
            ended.wait()
            other.call_soon(call, other)
            other.run_forever()

    thread = threading.Thread(target=run_other)
    thread.start()
    with unix_pair() as (ours, _):
        loop.add_reader(ours, Waits(ended, may_go_on))
        loop.add_reader(ours, print)  # the first one's end
        left.set()
        thread.join()
        loop.remove_reader(ours)
    assert (gc.isenabled(), len(seen)) == (is_on, 1)


def test_a_child_that_is_forked_while_another_thread_is_in_the_middle_of_a_call(loop, is_on):
    ended, may_go_on = threading.Event(), threading.Event()

    def run():
        with unix_pair() as (ours, _):
            loop.add_reader(ours, Waits(ended, may_go_on))
            loop.add_reader(ours, print)
            loop.remove_reader(ours)

    def look():
        assert gc.isenabled() == is_on

    thread = threading.Thread(target=run)
    thread.start()
    ended.wait()
    with child(look):
        pass
    may_go_on.set()
    thread.join()
    assert gc.isenabled() == is_on


def test_a_log_handler_that_raises_leaves_it_as_it_was(loop, is_on):
    loop.set_debug(True)
    loop.slow_callback_duration = 0

    def refuse(record):
        raise KeyboardInterrupt

    logger = logging.getLogger("asyncio")
    with received(loop, lambda: None):
        logger.addFilter(refuse)
        try:
            with pytest.raises(KeyboardInterrupt):
                loop.run_forever()
        finally:
            logger.removeFilter(refuse)
            loop.set_debug(False)
    assert gc.isenabled() == is_on
