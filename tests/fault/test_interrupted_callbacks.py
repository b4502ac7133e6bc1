"""KeyboardInterrupt out of a reader, a writer or a callback: running again goes on with all."""

import asyncio
import contextlib

import pytest
from peers import unix_pair


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("kind", ["reader", "writer"])
def test_a_watch_whose_callback_was_interrupted_is_called_again(loop, kind, error):
    calls = []

    def callback():
        calls.append(None)
        if len(calls) == 1:
            raise error
        loop.stop()

    with unix_pair() as (one, other):
        other.send(b"x")
        getattr(loop, f"add_{kind}")(one, callback)
        with pytest.raises(error):
            loop.run_forever()
        loop.run_forever()
        getattr(loop, f"remove_{kind}")(one)
    assert len(calls) == 2


@pytest.mark.zcloop_only  # asyncio makes the readers ready again that have not run yet
def test_readers_and_callbacks_of_the_same_turn_are_called(loop):
    called, armed = [], []

    def callback(number):
        called.append(number)
        if armed == [number]:
            armed.clear()
            raise KeyboardInterrupt

    with contextlib.ExitStack() as stack:
        pairs = [stack.enter_context(unix_pair()) for _ in range(20)]
        for number, (one, other) in enumerate(pairs):
            loop.add_reader(one, lambda one=one, n=number: (one.recv(10), callback(n)))
            other.send(b"x")
        for number in range(20, 40):
            loop.call_soon(callback, number)
            loop.call_later(0, callback, number + 20)
        for number in (5, 25, 45):
            if number in called:
                continue
            armed[:] = [number]
            with pytest.raises(KeyboardInterrupt):
                loop.run_forever()
        loop.run_until_complete(asyncio.sleep(0.01))
        assert sorted(called) == list(range(60))
        for one, _ in pairs:
            loop.remove_reader(one)
