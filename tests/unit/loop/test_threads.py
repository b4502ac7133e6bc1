"""Several loops at once, and one loop that moves from thread to thread."""

import asyncio
import os
import sys
import threading

import pytest
from peers import connection, gone, payload
from recording import Echo, Recorder


def in_thread(function, *arguments):
    """Its result; an exception in the thread is raised here."""
    outcome = []

    def call():
        try:
            outcome.append((function(*arguments), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    result, error = outcome[0]
    if error is not None:
        raise error
    return result


async def exchange(address, data):
    reader, writer = await asyncio.open_connection(*address)
    writer.write(data)
    writer.write_eof()
    answer = await reader.readexactly(len(data))
    writer.close()
    await writer.wait_closed()
    return answer


async def serve(loop):
    return await loop.create_server(Echo, "127.0.0.1", 0)


def test_loops_of_many_threads_run_at_once(loop_factory):
    data = payload(300_000)

    async def main():
        async with await serve(asyncio.get_running_loop()) as server:
            address = server.sockets[0].getsockname()
            answers = await asyncio.gather(*(exchange(address, data) for _ in range(5)))
            return [answer == data for answer in answers]

    results = []

    def thread():
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            results.extend(runner.run(main()))

    threads = [threading.Thread(target=thread) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert results == [True] * 40


def test_connections_and_listener_go_on_when_the_loop_moves_between_threads(loop):
    data = payload(100_000)

    async def start():
        server = await serve(loop)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        return server, reader, writer

    async def use(part):
        writer.write(part)
        assert await reader.readexactly(len(part)) == part
        assert await exchange(server.sockets[0].getsockname(), data) == data

    async def stop():
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()

    server, reader, writer = loop.run_until_complete(start())
    for move in range(4):
        in_thread(loop.run_until_complete, use(b"small %d" % move))
        in_thread(loop.run_until_complete, use(data))
        loop.run_until_complete(use(b"main %d" % move))
    loop.run_until_complete(stop())


def test_data_that_arrives_between_two_runs_is_delivered_by_the_next(loop):
    async def start():
        manager = connection(Recorder)
        return manager, await manager.__aenter__()

    manager, (_, protocol, peer) = loop.run_until_complete(start())
    sent = b""
    for number in range(20):
        peer.send(b"%d," % number)
        sent += b"%d," % number
        run = loop.run_until_complete
        if number % 2:
            assert in_thread(run, protocol.received(len(sent))) == sent
        else:
            assert run(protocol.received(len(sent))) == sent
    loop.run_until_complete(manager.__aexit__(None, None, None))


def test_a_loop_made_here_may_run_and_be_closed_elsewhere(loop_factory):
    loop = loop_factory()
    assert in_thread(loop.run_until_complete, asyncio.sleep(0.001, 1)) == 1
    in_thread(loop.close)

    loop = in_thread(loop_factory)
    assert loop.run_until_complete(asyncio.sleep(0.001, 2)) == 2
    in_thread(loop.close)


def test_a_loop_whose_thread_has_ended_can_be_closed(loop_factory):
    def thread():
        loop = loop_factory()
        loop.run_until_complete(asyncio.sleep(0.001))
        return loop

    in_thread(thread).close()


def test_a_loop_cannot_run_in_two_threads(loop):
    async def main():
        with pytest.raises(RuntimeError, match="already running"):
            await asyncio.to_thread(loop.run_forever)

    loop.run_until_complete(main())


def test_timers_and_callbacks_move_with_the_loop(loop):
    seen = []
    loop.call_later(0.001, seen.append, "timer")
    loop.call_soon(seen.append, "soon")
    loop.call_later(0.01, loop.stop)
    in_thread(loop.run_forever)
    assert seen == ["soon", "timer"]


def test_transports_may_be_closed_while_the_loop_does_not_run(loop):
    async def start():
        server = await serve(loop)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        return server, reader, writer

    server, reader, writer = loop.run_until_complete(start())
    writer.write(b"queued between the runs")
    writer.transport.pause_reading()
    writer.transport.resume_reading()
    assert loop.run_until_complete(reader.readexactly(6)) == b"queued"
    writer.close()
    server.close()
    in_thread(loop.run_until_complete, writer.wait_closed())
    loop.run_until_complete(gone(writer.transport))


def test_writes_made_while_the_loop_does_not_run_arrive_in_order(loop):
    async def start():
        manager = connection(Recorder)
        return manager, await manager.__aenter__()

    manager, (transport, _, peer) = loop.run_until_complete(start())
    transport.write(b"one")
    transport.write(bytes(5000))
    transport.write(b"two")
    loop.run_until_complete(asyncio.sleep(0))
    assert peer.recv(10_000) == b"one" + bytes(5000) + b"two"
    loop.run_until_complete(manager.__aexit__(None, None, None))


@pytest.mark.zcloop_only  # asyncio's close has nothing that takes long
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two processors")
def test_another_thread_runs_while_a_loop_is_closed(loop_factory):
    """The closing thread keeps the interpreter for nobody: it is never asked to let it go here."""
    before = sys.getswitchinterval()
    has_run = False
    for _ in range(50):
        loop = loop_factory()
        loop.run_until_complete(asyncio.sleep(0))
        ran = []
        go = threading.Lock()
        go.acquire()
        thread = threading.Thread(target=lambda go=go, ran=ran: (go.acquire(), ran.append(1)))
        thread.start()
        sys.setswitchinterval(1000)
        try:
            go.release()
            loop.close()
            has_run = bool(ran)
        finally:
            sys.setswitchinterval(before)
            thread.join()
        if has_run:
            return
    pytest.fail("not in 50 closes of a loop")
