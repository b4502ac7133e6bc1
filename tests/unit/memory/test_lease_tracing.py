"""Leak tracing: a view that was collected is told, one that was released is not."""

import asyncio
import gc
import os
import subprocess
import sys
import warnings

import pytest
from lending import LeaseRecorder
from peers import connection, fill, io_passed, payload, unix_pair
from recording import Recorder

import zcloop

pytestmark = pytest.mark.zcloop_only


@pytest.fixture(autouse=True)
def traced():
    zcloop.trace_leases("full")
    yield
    zcloop.trace_leases("off")


@pytest.fixture
def told():
    """What was warned of, without failing the test."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        yield found


class Keeper(LeaseRecorder):
    def __init__(self):
        super().__init__(keeps=True, copybreak=0)


async def lend(protocol, peer, size=5000):
    before = len(protocol.data)
    peer.send(payload(size))
    await protocol.received(before + size)


def texts(told):
    return [str(one.message) for one in told if one.category is ResourceWarning]


async def test_a_collected_view_is_told_with_its_holder(told):
    async with connection(Keeper, unix_pair) as (_, protocol, peer):
        await lend(protocol, peer)
        (lease,) = asyncio.get_running_loop().leases()
        assert lease["place"].endswith("Keeper")
        protocol.views.clear()
        (text,) = texts(told)
        assert text == (
            "a lease received by Keeper was collected, not released: call its view's release(), "
            "or use it in a `with`"
        )


@pytest.mark.parametrize("kept", ["view", "part"])
async def test_a_view_in_a_collected_cycle_is_told(told, kept):
    async with connection(Keeper, unix_pair) as (_, protocol, peer):
        await lend(protocol, peer)
        cycle = [protocol.views[0] if kept == "view" else protocol.views[0][1:]]
        cycle.append(cycle)
        protocol.views.clear()
        assert texts(told) == []
        del cycle
        gc.collect()
        assert len(texts(told)) == 1


@pytest.mark.parametrize("how", ["release", "with", "part first", "part last", "part alone"])
async def test_released_views_are_not_told(told, how):
    async with connection(Keeper, unix_pair) as (_, protocol, peer):
        await lend(protocol, peer)
        view = protocol.views.pop()
        if how == "with":
            with view:
                pass
        elif how == "release":
            view.release()
        elif how == "part first":
            view[1:].release()
            view.release()
        else:
            part = view[1:]
            if how == "part last":
                view.release()
            del view
            part.release()
        assert asyncio.get_running_loop().leases() == []
        view = part = None
        gc.collect()
        assert texts(told) == []


async def test_a_view_released_while_its_write_is_queued_is_not_told(told):
    class Forwards(Keeper):
        def buffer_received(self, view):
            super().buffer_received(view)
            self.transport.write(view)

    async with connection(Forwards, unix_pair) as (transport, protocol, peer):
        fill(transport.get_extra_info("socket")._sock)
        await lend(protocol, peer)
        protocol.release()
        await io_passed()
        assert len(asyncio.get_running_loop().leases()) == 1
        transport.abort()
        await protocol.lost()
        assert asyncio.get_running_loop().leases() == []
        assert texts(told) == []


@pytest.mark.parametrize("end", ["abort", "close", "another protocol"])
async def test_views_that_no_protocol_was_given_are_not_told(told, end):
    class PausesAtOnce(Keeper):
        def buffer_received(self, view):
            super().buffer_received(view)
            self.transport.pause_reading()

    async with connection(PausesAtOnce, unix_pair) as (transport, protocol, peer):
        peer.send(payload(60_000))  # several slots, of which one is delivered
        await protocol.received(1)
        protocol.release()
        await io_passed()
        assert asyncio.get_running_loop().leases() != []
        if end == "another protocol":
            following = Recorder()
            transport.set_protocol(following)
            transport.resume_reading()
            await following.received(60_000 - len(protocol.data))
            assert protocol.data + following.data == payload(60_000)
        else:
            getattr(transport, end)()
        assert asyncio.get_running_loop().leases() == []
        assert texts(told) == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_warning_that_is_an_error_costs_no_memory():
    async with connection(Keeper, unix_pair) as (transport, protocol, peer):
        await lend(protocol, peer)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            protocol.views.clear()
        found = transport.lease_statistics()
        assert (found["held"], found["leases"]) == (0, 0)


async def test_an_exception_on_its_way_stays_what_it_was(told):
    def fails(view):
        part = view[1:]
        del view
        protocol.views.clear()
        raise LookupError(len(part))

    async with connection(Keeper, unix_pair) as (_, protocol, peer):
        await lend(protocol, peer)
        with pytest.raises(LookupError, match="4999"):
            fails(protocol.views[0])
        gc.collect()
        assert len(texts(told)) == 1


async def test_off_tells_nothing(told):
    zcloop.trace_leases("off")
    async with connection(Keeper, unix_pair) as (_, protocol, peer):
        await lend(protocol, peer)
        assert asyncio.get_running_loop().leases()[0]["place"] is None
        protocol.views.clear()
        assert texts(told) == []


def test_another_word_is_a_value_error():
    with pytest.raises(ValueError, match="off, full"):
        zcloop.trace_leases("some")


PROGRAM = """
import asyncio, socket, zcloop
class Drops(zcloop.ZeroCopyProtocol):
    def buffer_received(self, view):
        done.set_result(None)
async def main():
    global done
    done = asyncio.get_running_loop().create_future()
    ours, peer = socket.socketpair()
    transport, _ = await asyncio.get_running_loop().create_connection(Drops, sock=ours)
    peer.send(bytes(9000))
    await done
    transport.close()
    peer.close()
zcloop.run(main())
"""


@pytest.mark.parametrize("how", ["nothing", "PYTHONASYNCIODEBUG", "PYTHONDEVMODE", "-X dev"])
def test_the_debug_modes_of_python_turn_it_on(how):
    environment = {name: value for name, value in os.environ.items() if "PYTHON" not in name}
    if how.startswith("PYTHON"):
        environment[how] = "1"
    done = subprocess.run(
        [sys.executable, "-P", "-W", "always::ResourceWarning",
         *(["-X", "dev"] if how == "-X dev" else []), "-c", PROGRAM],
        env=environment, capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = "a lease received by Drops was collected" in done.stderr
    assert told == (how != "nothing"), done.stderr
