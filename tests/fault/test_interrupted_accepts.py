"""KeyboardInterrupt and failures while a server accepts: it goes on, and keeps no descriptor."""

import _weakrefset
import asyncio
import itertools
import socket
import ssl
import sys

import pytest
from peers import receive_all
from recording import Recorder

from zcloop.loop._serving import Accepting


def listening(loop, factory):
    return loop.run_until_complete(loop.create_server(factory, "127.0.0.1", 0))


@pytest.mark.zcloop_only  # asyncio leaves it to the garbage collector
@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_a_connection_whose_factory_fails_is_closed_at_once(loop, reported, error, debug):
    """At once: not when the traceback, which holds what there is of it, is forgotten."""

    def factory():
        errors.append(error())
        raise errors[-1]

    errors = []
    loop.set_debug(debug)
    server = listening(loop, factory)
    with socket.create_connection(server.sockets[0].getsockname()) as peer:
        peer.setblocking(False)
        task = loop.create_task(receive_all(peer))
        if error is KeyboardInterrupt:
            with pytest.raises(KeyboardInterrupt):
                loop.run_until_complete(task)
        assert loop.run_until_complete(task) == b""
    server.close()
    if debug and error is not KeyboardInterrupt:
        assert [context["exception"] for context in reported] == errors
        reported.clear()
    assert len(errors) == 1


class Interrupt:
    """KeyboardInterrupt as the `number`th function is entered while a connection is accepted,
    which is where the interpreter looks for signals."""

    def __init__(self, number):
        self.left = number
        self.is_accepting = self.is_over = self.is_raised = False

    def __enter__(self):
        sys.setprofile(self.profile)
        return self

    def __exit__(self, *_):
        sys.setprofile(None)

    def profile(self, frame, event, _):
        if frame.f_code is Accepting._accepted.__code__ and event in ("call", "return"):
            self.is_accepting = event == "call"
            self.is_over = not self.is_accepting
        is_callback = frame.f_code.co_filename == _weakrefset.__file__  # nobody hears of an error
        if self.is_accepting and event == "call" and not (self.is_raised or is_callback):
            self.is_raised = self.left == 0
            self.left -= 1
            if self.is_raised:
                self.is_over = True
                raise KeyboardInterrupt


def anonymous():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AECDH-AES256-SHA:@SECLEVEL=0")
    return context


@pytest.mark.zcloop_only  # asyncio accepts in a task
# What asyncio's own TLS says when it was interrupted before it had a connection.
@pytest.mark.filterwarnings("ignore:unclosed transport <asyncio._SSLProtocolTransport")
@pytest.mark.parametrize(("context", "places"), [(None, 9), (anonymous(), 25)], ids=["tcp", "tls"])
def test_an_interrupt_anywhere_in_accepting_leaves_nothing_half_open(loop, context, places):
    """The connection is closed at once, or its protocol knows of it."""

    async def accepted(interrupt):
        while not interrupt.is_over:
            await asyncio.sleep(0)

    async def end(peer):
        for stream in loop.native_transports():
            peer.send(b"x")
            assert await stream.protocol.received(1) == b"x"
            stream.abort()
        assert await receive_all(peer) == b""

    made = []
    server = loop.run_until_complete(
        loop.create_server(lambda: made.append(Recorder()) or made[-1], "127.0.0.1", 0, ssl=context)
    )
    for number in itertools.count():
        made.clear()
        with socket.create_connection(server.sockets[0].getsockname()) as peer:
            peer.setblocking(False)
            task = loop.create_task(accepted(interrupt := Interrupt(number)))
            try:
                with interrupt:
                    loop.run_until_complete(task)
                break
            except KeyboardInterrupt as error:
                kept = error  # and what its frames hold
            loop.run_until_complete(task)
            loop.run_until_complete(end(peer))
            assert loop.statistics()["transports"] == 0
            del kept
    assert number >= places
    server.close()
    loop.run_until_complete(server.wait_closed())
