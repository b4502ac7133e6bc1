"""Queues and identifiers of each test's own, removed after it."""

import contextlib
import os
import uuid

import pytest

from zcloop.message_queues import PosixQueue, unlink


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
