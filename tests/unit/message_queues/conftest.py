"""Queues and identifiers of each test's own, removed after it; no thread is left waiting."""

import contextlib
import os
import uuid

import pytest
from blocked import waiting_threads
from waits import block_until

from zcloop.message_queues import PosixQueue, SysvQueue, SysvSemaphore, unlink


@pytest.fixture(autouse=True)
def no_thread_is_left(nothing_leaks):
    """Also none of those that Python does not know."""
    yield
    block_until(lambda: waiting_threads() == 0)


@pytest.fixture
def name():
    """A POSIX queue's name that no other test has."""
    name = f"/zcloop-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    yield name
    with contextlib.suppress(FileNotFoundError):
        unlink(name)


@pytest.fixture
def queue(name):
    with PosixQueue(name, create=True, maxmsg=4, msgsize=64) as queue:
        yield queue


def removed(thing):
    """`thing`, open, and removed at the end whatever became of it."""
    with thing:
        yield thing
    thing.closed = False
    with contextlib.suppress(OSError):  # the test has removed it
        thing.remove()


@pytest.fixture
def sysv():
    """A private System V queue."""
    yield from removed(SysvQueue())


@pytest.fixture
def semaphore():
    """A private System V set of three: 1, 0 and 5."""
    yield from removed(SysvSemaphore(values=(1, 0, 5)))


@pytest.fixture
def key():
    """A key that no other program uses; what is made with it the test removes."""
    return uuid.uuid4().int & 0x7FFFFFFF | 1
