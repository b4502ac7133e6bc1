"""A loop that runs in pieces: what was in flight is taken back in between, and goes on after."""

import asyncio
import gc
import os
import socket
import threading
import warnings

import pytest
from peers import payload, tcp_pair
from recording import DatagramRecorder, Echo, Recorder
from waits import until


class Everything:
    """A loop's server, stream and datagram endpoint, each with a raw socket as its peer."""

    def __init__(self, loop):
        self.loop = loop
        self.datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.datagrams.bind(("127.0.0.1", 0))
        self.pair = tcp_pair()
        self.ours, self.peer = self.pair.__enter__()
        self.clients = []
        self.run(self.make())

    def run(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    async def make(self):
        loop = self.loop
        self.server = await loop.create_server(Echo, "127.0.0.1", 0)
        self.stream, self.heard = await loop.create_connection(Recorder, sock=self.ours)
        self.endpoint, self.got = await loop.create_datagram_endpoint(
            DatagramRecorder, remote_addr=self.datagrams.getsockname()
        )

    def provoke(self, number):
        """Make something to be received by each, without running the loop."""
        self.peer.send(payload(1000, number))
        self.datagrams.sendto(b"%d" % number, self.endpoint.get_extra_info("sockname"))
        client = socket.create_connection(self.server.sockets[0].getsockname())
        client.send(b"%d" % number)
        self.clients.append(client)

    async def check(self, number):
        """What `provoke` sent, up to the `number`th time, has come."""
        assert (await self.heard.received(1000 * (number + 1)))[-1000:] == payload(1000, number)
        assert (await self.got.received(number + 1))[-1] == b"%d" % number
        self.clients[-1].setblocking(False)
        assert await self.loop.sock_recv(self.clients[-1], 10) == b"%d" % number

    def close_peers(self):
        for client in self.clients:
            client.close()
        self.datagrams.close()
        self.pair.__exit__(None, None, None)

    def close(self):
        self.server.close()
        self.stream.abort()
        self.endpoint.abort()
        self.run(self.heard.lost())
        self.run(self.got.lost())
        self.close_peers()
        self.run(self.settled())

    async def settled(self):
        """The server's connections have seen their end."""
        if hasattr(self.loop, "statistics"):
            await until(lambda: not self.loop.statistics()["transports"])
        else:
            await asyncio.sleep(0.05)  # asyncio does not say


def in_thread(function):
    failures = []

    def call():
        try:
            function()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert failures == []


def test_requests_go_on_in_the_next_run(loop):
    everything = Everything(loop)
    for number in range(30):
        everything.provoke(number)
        for _ in range(number % 4):
            everything.run(asyncio.sleep(0))
        everything.run(everything.check(number))
    everything.close()


def test_what_completes_while_the_loop_stops_is_kept(loop):
    everything = Everything(loop)
    for number in range(30):
        everything.run(asyncio.sleep(0.0005))
        loop.call_soon(everything.provoke, number)
        loop.call_soon(loop.stop)
        loop.run_forever()
        everything.run(everything.check(number))
    everything.close()


def test_pausing_and_closing_between_two_runs_holds_for_the_next(loop):
    everything = Everything(loop)
    everything.run(asyncio.sleep(0.001))
    everything.stream.pause_reading()
    everything.endpoint.pause_reading()
    everything.provoke(0)
    everything.run(asyncio.sleep(0.005))
    assert everything.heard.names == everything.got.names == ["connection_made"]
    everything.stream.resume_reading()
    everything.endpoint.resume_reading()
    everything.run(everything.check(0))
    everything.provoke(1)
    everything.stream.close()
    everything.endpoint.close()
    assert everything.run(everything.heard.lost()) is None
    assert len(everything.heard.data) == 1000
    everything.close()


def test_requests_go_on_in_another_thread_and_back(loop):
    everything = Everything(loop)
    for number in range(6):
        everything.provoke(number)

        def go_on(number=number):
            everything.run(everything.check(number))

        if number % 2:
            in_thread(go_on)
        else:
            go_on()
    in_thread(everything.close)


@pytest.mark.zcloop_only  # asyncio leaves tasks of accepted connections
@pytest.mark.parametrize("turns", range(3))
def test_closing_the_loop_with_everything_in_flight_frees_it(loop_factory, turns):
    loop = loop_factory()
    everything = Everything(loop)
    everything.provoke(0)
    everything.run(everything.check(0))
    everything.provoke(1)
    for _ in range(turns):
        loop.call_soon(loop.stop)
        loop.run_forever()
    everything.close_peers()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        loop.close()
        everything.server.close()
        del everything
        gc.collect()


def test_a_fork_between_runs_leaves_the_parent_everything(loop):
    everything = Everything(loop)
    everything.provoke(0)
    everything.run(everything.check(0))
    pid = os.fork()
    if pid == 0:
        try:
            loop.close()
        finally:
            os._exit(0 if loop.is_closed() else 1)
    everything.provoke(1)
    everything.run(everything.check(1))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    everything.provoke(2)
    everything.run(everything.check(2))
    everything.close()
