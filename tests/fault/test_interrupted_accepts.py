"""KeyboardInterrupt and failures while a server accepts: it goes on, and keeps no descriptor."""

import socket

import pytest
from peers import receive_all


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
