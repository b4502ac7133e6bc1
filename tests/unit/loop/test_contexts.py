"""Which contextvars.Context each kind of callback runs in."""

import asyncio
import contextvars
import gc
import os
import signal
import sys
import weakref

import pytest
from peers import connection, unix_pair
from recording import DatagramRecorder, Recorder

var = contextvars.ContextVar("var", default="default")


async def test_call_soon_runs_in_the_context_of_its_caller():
    loop = asyncio.get_running_loop()
    seen = loop.create_future()
    var.set("caller")
    loop.call_soon(lambda: seen.set_result(var.get()))
    var.set("later")
    assert await seen == "caller"


@pytest.mark.parametrize("call", ["call_soon", "call_later", "call_soon_threadsafe"])
async def test_a_given_context_is_the_one_used(call):
    loop = asyncio.get_running_loop()
    context = contextvars.copy_context()
    context.run(var.set, "given")
    seen = loop.create_future()
    delay = (0,) if call == "call_later" else ()
    getattr(loop, call)(*delay, lambda: seen.set_result(var.get()), context=context)
    assert await seen == "given"


async def test_what_a_callback_sets_stays_in_its_own_context():
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    loop.call_soon(var.set, "elsewhere")
    loop.call_soon(done.set_result, None)
    await done
    assert var.get() == "default"


async def test_readers_and_writers_run_in_the_context_of_their_adding():
    loop = asyncio.get_running_loop()
    with unix_pair() as (one, other):
        for add, remove in (
            (loop.add_reader, loop.remove_reader),
            (loop.add_writer, loop.remove_writer),
        ):
            var.set(add.__name__)
            seen = loop.create_future()
            add(one, lambda seen=seen: seen.done() or seen.set_result(var.get()))
            var.set("later")
            other.send(b"x")
            assert await seen == add.__name__
            remove(one)


class InContext(Recorder):
    def note(self, name, *rest):
        super().note(name, *rest, var.get())


def contexts(protocol):
    return {call[-1] for call in protocol.calls}


async def test_client_protocols_run_in_the_context_of_create_connection():
    var.set("connect")
    async with connection(InContext) as (transport, protocol, peer):
        var.set("later")
        transport.set_write_buffer_limits(high=0)
        peer.send(b"x")
        await protocol.received(1)
        peer.close()
        await protocol.lost()
    assert protocol.names == ["connection_made", "data_received", "eof_received", "connection_lost"]
    assert contexts(protocol) == {"connect"}


async def test_served_protocols_run_in_the_context_of_create_server():
    loop = asyncio.get_running_loop()
    factories = []

    def factory():
        factories.append(var.get())
        protocols.append(InContext())
        return protocols[-1]

    protocols = []
    var.set("serve")
    server = await loop.create_server(factory, "127.0.0.1", 0)
    var.set("later")
    async with server:
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"x")
        writer.close()
        await writer.wait_closed()
        while not protocols:
            await asyncio.sleep(0)
        await protocols[0].lost()
    assert factories == ["serve"]
    assert contexts(protocols[0]) == {"serve"}


async def test_signal_handlers_run_in_the_context_of_their_adding():
    loop = asyncio.get_running_loop()
    seen = loop.create_future()
    var.set("signal")
    loop.add_signal_handler(signal.SIGUSR1, lambda: seen.set_result(var.get()))
    var.set("later")
    os.kill(os.getpid(), signal.SIGUSR1)
    assert await seen == "signal"
    loop.remove_signal_handler(signal.SIGUSR1)


async def test_datagram_protocols_run_in_the_context_of_their_endpoint():
    class Datagrams(DatagramRecorder):
        def note(self, name, *rest):
            super().note(name, *rest, var.get())

    loop = asyncio.get_running_loop()
    var.set("endpoint")
    transport, protocol = await loop.create_datagram_endpoint(
        Datagrams, local_addr=("127.0.0.1", 0)
    )
    var.set("later")
    transport.sendto(b"x", transport.get_extra_info("sockname"))
    await protocol.received(1)
    assert contexts(protocol) == {"endpoint"}
    transport.close()
    await protocol.lost()


def test_each_of_a_thousand_callbacks_has_a_context_of_its_own(loop):
    seen = []
    number = contextvars.ContextVar("number")

    def see(expected):
        seen.append((number.get(), expected))
        number.set("mine")

    for each in range(1000):
        number.set(each)
        loop.call_soon(see, each)
    loop.run_until_complete(asyncio.sleep(0))
    assert len(seen) == 1000
    assert all(got == expected for got, expected in seen)


def test_what_only_a_long_queue_holds_is_freed_with_the_loop(loop_factory):
    class Thing:
        pass

    number = contextvars.ContextVar("number")
    loop = loop_factory()
    things = []
    for _ in range(200):
        thing = Thing()
        thing.loop = loop
        things.append(weakref.ref(thing))
        context = contextvars.copy_context()
        context.run(number.set, thing)
        context.run(loop.call_soon, print)
    del thing, context
    loop.close()
    gc.collect()
    assert not any(thing() for thing in things)


# ---- one snapshot for several handles -----------------------------------------------------------


@pytest.fixture(params=[True, False], ids=["shared", "copied"])
def sharing(request, loop):
    """A loop whose handles share snapshots, or may not."""
    if hasattr(loop, "contexts"):
        assert loop.contexts.is_shared
        loop.contexts.is_shared = request.param
    return loop


def turn(loop):
    loop.run_until_complete(asyncio.sleep(0))


def test_what_one_callback_sets_the_next_does_not_see(sharing):
    seen = []

    def see_and_set(number):
        seen.append(var.get())
        if number % 3:
            var.set(number)

    for number in range(100):
        sharing.call_soon(see_and_set, number)
    turn(sharing)
    assert seen == ["default"] * 100


def test_nor_what_it_sets_later_by_what_it_kept(sharing):
    kept = []
    seen = []

    def keep():
        kept.append(contextvars.copy_context())
        kept[-1].run(var.set, "in a copy")
        kept.append(var.set("kept"))
        var.reset(kept.pop())

    for _ in range(10):
        sharing.call_soon(keep)
        sharing.call_soon(lambda: seen.append(var.get()))
    turn(sharing)
    assert seen == ["default"] * 10


def test_a_token_is_valid_where_it_was_made_only(sharing):
    tokens = []
    sharing.call_soon(lambda: tokens.append(var.set("here")))
    errors = []

    def reset():
        try:
            var.reset(tokens[0])
        except ValueError as error:
            errors.append(str(error))

    sharing.call_soon(reset)
    turn(sharing)
    assert len(errors) == 1
    assert "different Context" in errors[0]


def test_callbacks_of_two_contexts_in_turn(sharing):
    seen = []
    contexts = [contextvars.copy_context() for _ in range(2)]
    for name, context in zip("ab", contexts, strict=True):
        context.run(var.set, name)
    for _ in range(50):
        for context in contexts:
            context.run(sharing.call_soon, lambda: seen.append(var.get()))
    turn(sharing)
    assert seen == ["a", "b"] * 50


def test_a_snapshot_is_of_the_time_of_the_call(sharing):
    seen = []
    context = contextvars.copy_context()
    for number in range(50):
        context.run(var.set, number // 5)
        context.run(sharing.call_soon, lambda: seen.append(var.get()))
    turn(sharing)
    assert seen == [number // 5 for number in range(50)]


def test_a_context_that_is_shown_is_the_handles_own(sharing):
    handles = [sharing.call_soon(lambda: seen.append(var.get())) for _ in range(20)]
    seen = []
    contexts = [handle._context for handle in handles[::2]]
    assert len({id(context) for context in contexts}) == 10
    for context in contexts:
        context.run(var.set, "mine")
    assert [handle._context for handle in handles[::2]] == contexts
    turn(sharing)
    assert seen == ["mine", "default"] * 10


def test_a_callback_that_is_called_within_another(sharing):
    """As programs do that let a loop run while it runs."""
    seen = []

    def inner():
        seen.append(var.get())
        var.set("inner")

    def outer():
        var.set("outer")
        for handle in handles:
            handle._run()
        seen.append(var.get())

    context = contextvars.copy_context()
    context.run(var.set, "around")
    handles = [context.run(sharing.call_soon, inner) for _ in range(3)]
    context.run(sharing.call_soon, outer)
    for handle in handles[1:]:
        handle.cancel()
    turn(sharing)
    assert seen[-1] == "outer"
    assert set(seen[:-1]) == {"around"}


def test_readers_of_one_context_keep_their_own(sharing):
    seen = []
    with unix_pair() as (one, other), unix_pair() as (third, fourth):

        def see(sock):
            seen.append((sock, var.get()))
            var.set(sock)

        for sock in (one, third):
            sharing.add_reader(sock, see, sock)
        other.send(b"x")
        fourth.send(b"x")
        while len(seen) < 6:
            turn(sharing)
        for sock in (one, third):
            sharing.remove_reader(sock)
            assert {value for each, value in seen if each is sock} <= {"default", sock}


def test_what_is_no_longer_wanted_ends_with_its_callbacks(sharing):
    class Thing:
        pass

    thing = Thing()
    ended = weakref.ref(thing)
    context = contextvars.copy_context()
    context.run(var.set, thing)
    for _ in range(3):
        context.run(sharing.call_soon, len, "")
    del context, thing
    sharing.run_until_complete(asyncio.sleep(0.001))
    assert ended() is None


def test_a_value_that_makes_callbacks_when_it_ends(sharing):
    calls = []

    class Thing:
        def __del__(self):
            sharing.call_soon(calls.append, var.get())

    context = contextvars.copy_context()
    for _ in range(50):
        context.run(var.set, Thing())
        context.run(sharing.call_soon, len, "")
        context.run(sharing.call_soon, len, "")
    del context
    for _ in range(5):
        turn(sharing)
    assert calls == ["default"] * 50


@pytest.mark.parametrize("encrypted", [False, True])
async def test_what_a_factory_sets_is_seen_by_its_own_connection_only(certificates, encrypted):
    def factory():
        before.append(var.get())
        var.set(f"connection {len(before)}")
        protocols.append(InContext())
        return protocols[-1]

    before, protocols = [], []
    loop = asyncio.get_running_loop()
    var.set("serve")
    server = await loop.create_server(
        factory, "127.0.0.1", 0, ssl=certificates.server_context() if encrypted else None
    )
    options = {"ssl": certificates.client_context(), "server_hostname": "localhost"}
    async with server:
        for number in (1, 2):
            address = server.sockets[0].getsockname()
            _, writer = await asyncio.open_connection(*address, **(options if encrypted else {}))
            writer.write(b"x")
            await writer.drain()
            while len(protocols) < number or not protocols[-1].data:
                await asyncio.sleep(0)
            writer.close()
            await writer.wait_closed()
            await protocols[-1].lost()
            protocols[-1].transport.abort()
    assert before == ["serve", "serve"]
    assert [contexts(protocol) for protocol in protocols] == [{"connection 1"}, {"connection 2"}]


async def test_what_the_factory_of_a_client_sets_its_protocol_sees():
    def factory():
        var.set("factory")
        return InContext()

    loop = asyncio.get_running_loop()
    served = loop.create_future()

    def serve():
        served.set_result(Recorder())
        return served.result()

    async with await loop.create_server(serve, "127.0.0.1", 0) as server:
        address = server.sockets[0].getsockname()
        _, protocol = await loop.create_connection(factory, *address)
        (await served).transport.close()
        await protocol.lost()
        # From Python 3.15 on the context is copied before the factory is called.
        assert contexts(protocol) == {"default" if sys.version_info >= (3, 15) else "factory"}
        await served.result().lost()
