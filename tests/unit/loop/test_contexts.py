"""Which contextvars.Context each kind of callback runs in."""

import asyncio
import contextvars
import gc
import os
import signal
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
    """Contexts of a long queue are not known to the garbage collector."""

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


def test_the_context_of_a_handle_is_known_to_the_collector_once_it_is_shown(loop):
    handles = [loop.call_soon(int) for _ in range(200)]
    contexts = [handle._context for handle in handles]
    assert all(gc.is_tracked(context) for context in contexts)
    loop.run_until_complete(asyncio.sleep(0))
    assert all(gc.is_tracked(context) for context in contexts)
