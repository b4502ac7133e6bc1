"""What cannot be made, attached to, closed or carried over is refused, and says what to do."""

from __future__ import annotations

import asyncio
import errno
import mmap
import os
import pickle
from multiprocessing import resource_tracker, shared_memory

import pytest
from waits import cancelled, child, until, waiting

from zcloop import sync
from zcloop._native.sync.acquire import Acquire

pytestmark = pytest.mark.zcloop_only

KINDS = {
    "semaphore": lambda **memory: sync.Semaphore(0, **memory),
    "mutex": sync.Mutex,
    "lock": sync.ReadWriteLock,
    "barrier": lambda **memory: sync.Barrier(2, **memory),
}
BAD_PLACES = {
    "a buffer that is too small": (lambda size: bytearray(size - 1), 0, ValueError, "too few"),
    "an offset near the end": (lambda size: mmap.mmap(-1, 4096), 4088, ValueError, "too few"),
    "an offset beyond the end": (lambda size: bytearray(size), 1 << 40, ValueError, "too few"),
    "a negative offset": (lambda size: mmap.mmap(-1, 4096), -8, ValueError, "offset -8"),
    "an unaligned offset": (lambda size: mmap.mmap(-1, 4096), 4, ValueError, "multiple of 8"),
    "read-only bytes": (bytes, 0, BufferError, "writable"),
    "a read-only view": (lambda size: memoryview(bytes(size)), 0, BufferError, "writable"),
    "a view with gaps": (
        lambda size: memoryview(bytearray(2 * size))[::2],
        0,
        BufferError,
        "contiguous",
    ),
    "no buffer": (lambda size: 17, 0, TypeError, "bytes-like"),
    "an offset without a buffer": (lambda size: None, 8, ValueError, "needs a buffer"),
}


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def make(request):
    return request.param


@pytest.mark.parametrize("place", BAD_PLACES.values(), ids=BAD_PLACES)
def test_bad_places_are_refused(make, place):
    buffer_of, offset, error, text = place
    kind = type(make())
    buffer = buffer_of(kind.SIZE)
    with pytest.raises(error, match=text):
        make(buffer=buffer, offset=offset)
    if buffer is not None:
        with pytest.raises(error, match=text):
            kind.attach(buffer, offset)


def test_nothing_is_exported_after_a_refusal(make):
    buffer = bytearray(4096)
    for offset in (4, 4090, -1):
        with pytest.raises(ValueError):
            make(buffer=buffer, offset=offset)
    buffer.clear()  # BufferError while anything holds it


def test_a_place_is_made_once_and_attached_to_only_as_what_it_is(make, shared):
    kind = type(make())
    with pytest.raises(ValueError, match="there is no"):
        kind.attach(shared, 64)
    one = make(buffer=shared, offset=64)
    with pytest.raises(ValueError, match="in use"):
        make(buffer=shared, offset=64)
    for other in KINDS.values():
        if other is not make:
            with pytest.raises(ValueError, match="there is no"):
                type(other()).attach(shared, 64)
    assert repr(kind.attach(shared, 64)) == repr(one)
    with pytest.raises(RuntimeError, match="made already"):
        one.__init__(*([2] if kind is sync.Barrier else []), buffer=shared)
    with pytest.raises(TypeError, match="needs the buffer"):
        kind.attach(None)


def test_what_was_never_made_or_is_closed_says_so(make):
    thing = make()
    thing.close()
    thing.close()
    for each in (thing, type(thing).__new__(type(thing))):
        assert each.closed
        assert "closed" in repr(each)
        side = getattr(each, "writer", each)
        with pytest.raises(ValueError, match="closed"):
            (side.release if hasattr(side, "release") else side.reset)()
        with pytest.raises(ValueError, match="closed"):
            side._operation()


def test_an_operation_made_before_a_close_says_so(loop, make):
    thing = make()
    operation = getattr(thing, "writer", thing)._operation()
    again = getattr(thing, "writer", thing)._operation()
    thing.close()
    with pytest.raises(ValueError, match="closed"):
        operation.begin()
    if loop.channel.has_futex_wait:
        assert loop.run_until_complete(loop.perform(again)) < 0


def test_pickles_are_refused_with_the_way_to_go(make):
    with pytest.raises(TypeError, match="attach"):
        pickle.dumps(make())


@pytest.fixture(scope="session")
def tracker():
    """multiprocessing's own helper process, which stays."""
    resource_tracker.ensure_running()


async def test_memory_cannot_be_closed_while_something_waits_in_it(tracker):
    memory = shared_memory.SharedMemory(create=True, size=4096)
    semaphore = sync.Semaphore(0, buffer=memory.buf)
    task = await waiting(semaphore, semaphore.acquire())
    with pytest.raises(BufferError):
        memory.buf.release()
    with pytest.raises(BufferError, match="1 still wait"):
        semaphore.close()
    semaphore.release()
    await task
    semaphore.close()
    memory.close()
    memory.unlink()


async def test_memory_is_kept_by_a_wait_when_everything_else_has_gone():
    buffer = mmap.mmap(-1, 4096)
    other = sync.Semaphore(0, buffer=buffer)
    task = await waiting(other, sync.Semaphore.attach(buffer).acquire())
    with pytest.raises(BufferError):
        buffer.close()
    other.release()
    await task
    other.close()
    del task
    buffer.close()


@pytest.mark.parametrize(
    ("value", "maximum"), [(-1, 1), (2, 1), (0, 0), (0, 1 << 31), (1 << 40, 1 << 41)]
)
def test_impossible_values_are_refused(value, maximum):
    with pytest.raises(ValueError):
        sync.Semaphore(value, maximum=maximum)


def test_another_loop_is_refused(make):
    thing = make()
    side = getattr(thing, "reader", thing)
    with pytest.raises(RuntimeError, match=r"zcloop\.run"):
        asyncio.run(side.acquire() if hasattr(side, "acquire") else side.wait())
    with pytest.raises(RuntimeError, match=r"zcloop\.run"):
        asyncio.run(sync.acquire(thing if hasattr(thing, "acquire") else sync.Mutex()))


# Forks


def test_a_child_does_not_undo_the_waits_of_its_parent(shared, loop):
    semaphore = sync.Semaphore(0, buffer=shared)
    task = loop.run_until_complete(waiting(semaphore, semaphore.acquire()))

    def end():
        task.get_coro().close()
        assert semaphore.waiting == 1
        semaphore.release()

    with child(end):
        pass
    assert semaphore.waiting == 1
    loop.run_until_complete(task)
    assert semaphore.waiting == 0


async def test_a_child_forked_while_the_loop_runs_does_not_either(shared):
    semaphore = sync.Semaphore(0, buffer=shared)
    task = await waiting(semaphore, semaphore.acquire())
    with child(lambda: task.get_coro().close()):
        pass
    assert semaphore.waiting == 1
    await cancelled(task)
    await until(lambda: semaphore.waiting == 0)


def test_a_child_waits_on_a_loop_of_its_own(shared, loop_factory):
    ours, theirs = sync.Semaphore(0, buffer=shared), sync.Semaphore(0, buffer=shared, offset=64)

    def answer():
        async def run():
            for _ in range(20):
                await theirs.acquire()
                ours.release()

        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(run())

    with child(answer):
        for _ in range(20):
            theirs.release()
            assert ours.acquire_blocking(20)


def test_private_things_are_copies_in_a_child():
    semaphore = sync.Semaphore(1)
    with child(lambda: os._exit(not semaphore.try_acquire())):
        pass
    assert semaphore.value == 1


def test_a_closed_mutex_is_not_looked_at_by_what_was_made_before():
    """Its memory may be unmapped."""
    mutex = sync.Mutex(buffer=mmap.mmap(-1, sync.Mutex.SIZE))
    operation = mutex._operation()
    mutex.close()
    assert operation.heal() is False


def test_a_barrier_is_waited_at_and_not_acquired():
    assert Acquire(sync.Barrier(2)).begin() == -errno.EINVAL


def test_a_request_is_for_what_is_made():
    for thing in (sync.Semaphore, sync.Mutex, sync.Barrier):
        with pytest.raises(ValueError, match="never made"):
            Acquire(thing.__new__(thing))
