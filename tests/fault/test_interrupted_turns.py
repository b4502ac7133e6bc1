"""KeyboardInterrupt in the middle of what a turn does for all: nobody waits for ever after it."""

import asyncio
import contextlib
import logging
import socket
import time

import pytest
from peers import connection, payload, receive_exactly, script, unix_pair
from recording import BufferedRecorder, DatagramRecorder, Recorder


@contextlib.contextmanager
def connected(loop, factory, count):
    stack = contextlib.AsyncExitStack()

    async def make():
        return [
            await stack.enter_async_context(connection(factory, unix_pair)) for _ in range(count)
        ]

    yield loop.run_until_complete(make())
    loop.run_until_complete(stack.aclose())


@contextlib.contextmanager
def endpoint(loop, factory, **options):
    transport, protocol = loop.run_until_complete(loop.create_datagram_endpoint(factory, **options))
    yield transport, protocol
    transport.close()
    loop.run_until_complete(protocol.lost())


@contextlib.contextmanager
def exhausting(loop, factory, count):
    """The protocol of a datagram endpoint, a socket that sends to it, and `count` sockets that are
    watched: to remove one submits, and so brings completions with their slots."""
    with contextlib.ExitStack() as stack:
        watched = [stack.enter_context(unix_pair())[0] for _ in range(count)]
        transport, protocol = stack.enter_context(
            endpoint(loop, factory, local_addr=("127.0.0.1", 0))
        )
        sender = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        sender.connect(transport.get_extra_info("sockname"))
        for sock in watched:
            loop.add_reader(sock, print)
        loop.run_until_complete(asyncio.sleep(0.01))
        yield protocol, sender, watched


def raises_once(*errors):
    """A function that raises each of these, then nothing more."""
    left = list(errors)

    def function(*_):
        if left:
            raise left.pop(0)

    return function


@pytest.mark.zcloop_only
def test_streams_that_find_no_slot_are_read_before_an_interrupt_that_comes_later(loop):
    """The pool's slots are all out, and the last completion of all is the interrupted one."""

    class Last(DatagramRecorder):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            raise KeyboardInterrupt

    def exhaust():
        for start, sock in zip(range(0, 2000, 100), watched, strict=True):
            for number, (_, _, peer) in enumerate(made):
                peer.send(payload(2000, number)[start : start + 100])
            loop.remove_reader(sock)
        sender.send(b"last")
        loop.remove_reader(one_more)

    with (
        connected(loop, Recorder, 10) as made,
        exhausting(loop, Last, 21) as (_, sender, (*watched, one_more)),
    ):
        loop.call_soon(exhaust)
        with pytest.raises(KeyboardInterrupt):
            loop.run_forever()
        for number, (_, protocol, _) in enumerate(made):
            assert protocol.data == payload(2000, number)
        # And they go on: the interrupt has cost nobody the next receive.
        for _, _, peer in made:
            peer.send(b"more")
        for _, protocol, _ in made:
            loop.run_until_complete(protocol.received(2004))


@pytest.mark.zcloop_only
def test_datagrams_that_find_no_slot_come_in_the_turn_after_an_interrupt(loop):
    """As above, of a datagram socket, which waits for the end of the dispatch."""
    count = 100  # of 64 slots

    class Counting(DatagramRecorder):
        def datagram_received(self, data, addr):
            turns.append(loop.statistics()["turns"])
            super().datagram_received(data, addr)

    class Last(Recorder):
        def data_received(self, data):
            super().data_received(data)
            raise KeyboardInterrupt

    def exhaust():
        for sock in watched:
            for _ in range(count // len(watched)):
                sender.send(b"x")
            loop.remove_reader(sock)
        made[0][2].send(b"last")
        loop.remove_reader(one_more)

    turns = []
    with (
        connected(loop, Last, 1) as made,
        exhausting(loop, Counting, 11) as (protocol, sender, (*watched, one_more)),
    ):
        loop.call_soon(exhaust)
        with pytest.raises(KeyboardInterrupt):
            loop.run_forever()
        assert 0 < len(turns) < count
        before, first = loop.statistics()["turns"], len(turns)
        loop.run_until_complete(protocol.until(lambda: len(turns) == count))
        assert turns[first] == before + 1


@pytest.mark.zcloop_only  # asyncio sends in write() itself
def test_output_of_all_goes_out_once_although_the_flush_was_interrupted(loop):
    """One client fails in the flush, which debug mode logs; a signal may come just then."""

    class Interrupts(logging.Handler):
        def emit(self, record):
            if "write error" in record.getMessage():
                raise KeyboardInterrupt

    def write():
        for number, (transport, _, _) in enumerate(made):
            transport.write(payload(100, number))
        made[10][0].get_extra_info("socket")._sock.close()

    handler = Interrupts()
    logger = logging.getLogger("asyncio")
    level = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    loop.set_debug(True)
    try:
        with connected(loop, Recorder, 20) as made:
            loop.call_soon(write)
            with pytest.raises(KeyboardInterrupt):
                loop.run_forever()
            assert isinstance(loop.run_until_complete(made[10][1].lost()), OSError)
            for number, (transport, _, peer) in enumerate(made):
                if number != 10:
                    transport.write(b"more")
                    wanted = payload(100, number) + b"more"
                    assert loop.run_until_complete(receive_exactly(peer, 104)) == wanted
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


@pytest.mark.zcloop_only  # asyncio sends in sendto() itself
def test_datagrams_are_sent_once_although_a_name_lookup_was_interrupted(loop):
    class LooksUp(socket.socket):
        def sendto(self, data, address):
            interrupt()
            return super().sendto(data, address)

    def send():
        for number in range(3):
            transport.sendto(b"%d" % number, address)
        transport.sendto(b"interrupted", ("localhost", address[1]))

    interrupt = raises_once(KeyboardInterrupt())
    ours = LooksUp(socket.AF_INET, socket.SOCK_DGRAM)
    ours.setblocking(False)
    ours.bind(("127.0.0.1", 0))
    with (
        endpoint(loop, DatagramRecorder, local_addr=("127.0.0.1", 0)) as (peer, received),
        endpoint(loop, DatagramRecorder, sock=ours) as (transport, _),
    ):
        address = peer.get_extra_info("sockname")
        loop.call_soon(send)
        with pytest.raises(KeyboardInterrupt):
            loop.run_forever()
        transport.sendto(b"3", ("localhost", address[1]))
        assert loop.run_until_complete(received.received(4)) == [b"0", b"1", b"2", b"3"]


@pytest.mark.zcloop_only  # asyncio's transport stays open
@pytest.mark.parametrize("factory", [Recorder, BufferedRecorder])
def test_a_transport_that_fails_is_closed_although_the_report_was_interrupted(loop, factory):
    class Fails(factory):
        def data_received(self, data):
            raise ZeroDivisionError

        def get_buffer(self, sizehint):
            raise ZeroDivisionError

    with connected(loop, Fails, 1) as ((_, protocol, peer),):
        reported = []
        loop.set_exception_handler(lambda _, context: (reported.append(context), interrupt()))
        interrupt = raises_once(KeyboardInterrupt())
        peer.send(b"x")
        with pytest.raises(KeyboardInterrupt):
            loop.run_forever()
        assert isinstance(loop.run_until_complete(protocol.lost()), ZeroDivisionError)
        assert len(reported) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_slow_callback_that_is_interrupted_leaves_the_loop_in_debug_mode(loop, error, caplog):
    class Slow(Recorder):
        def data_received(self, data):
            time.sleep(0.02)
            raise error

    loop.set_debug(True)
    loop.slow_callback_duration = 0.01
    with connected(loop, Slow, 1) as ((_, _, peer),):
        peer.send(b"x")
        with caplog.at_level(logging.WARNING, "asyncio"), pytest.raises(error):
            loop.run_forever()


def test_a_listener_that_is_out_of_descriptors_goes_on_although_its_report_was_interrupted():
    said = script(
        """
        import resource

        def interrupt(loop, context):
            reports.append(context)
            for fd in used:
                os.close(fd)
            if len(reports) == 1:
                raise KeyboardInterrupt

        async def serve():
            return await loop.create_server(lambda: made.append(0) or asyncio.Protocol(),
                                            "127.0.0.1", 0)

        async def served():
            while not made:
                await asyncio.sleep(0.01)

        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
        reports, made, used = [], [], []
        loop = new_event_loop()
        loop.set_exception_handler(interrupt)
        server = loop.run_until_complete(serve())
        client = socket.socket()
        client.connect(server.sockets[0].getsockname())
        try:
            while True:
                used.append(os.dup(0))
        except OSError:
            pass
        try:
            loop.run_until_complete(served())
        except KeyboardInterrupt:
            print("interrupted")
        loop.run_until_complete(asyncio.wait_for(served(), 5))
        for task in asyncio.all_tasks(loop):
            loop.run_until_complete(task)
        client.close()
        server.close()
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()
        """
    )
    assert said == "interrupted\n"
