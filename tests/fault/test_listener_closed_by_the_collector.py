"""The collector runs in the middle of an accept, and a finalizer closes the server."""

import asyncio
import gc
import socket

import pytest
from peers import io_passed
from recording import Recorder

# Up to 3.11 the collector may run in any allocation; as many as the accept of a connection makes.
ALLOCATIONS = 60


class Closes:
    """Garbage in a cycle, whose finalizer closes the server."""

    def __init__(self, server):
        self.server = server
        self.itself = self

    def __del__(self):
        self.server.close()


def left_in(backlog):
    try:
        backlog.accept()[0].close()
    except BlockingIOError:
        return 0
    return 1


@pytest.fixture
def collector():
    thresholds = gc.get_threshold()
    gc.collect()
    yield
    gc.set_threshold(*thresholds)


@pytest.mark.zcloop_only  # asyncio reports that its transport cannot be made
def test_a_finalizer_that_closes_the_server_costs_no_connection(loop, collector):
    """It was announced, or it is left to others: at whichever allocation the collector ran."""

    async def accept(allocations):
        made = []
        server = await loop.create_server(
            lambda: made.append(Recorder()) or made[-1], "127.0.0.1", 0
        )
        await io_passed()
        with server.sockets[0]._sock.dup() as other:
            client = socket.create_connection(other.getsockname())
            gc.collect()
            Closes(server)
            gc.set_threshold(gc.get_count()[0] + allocations, 1000, 1000)
            while server.is_serving() and not made:
                await asyncio.sleep(0)
            gc.set_threshold(0)
            gc.collect()
            await io_passed()
            assert not server.is_serving()
            assert len(made) + left_in(other) == 1
        client.close()
        if made:
            made[0].transport.abort()
            await made[0].lost()

    for allocations in range(ALLOCATIONS):
        loop.run_until_complete(accept(allocations))
