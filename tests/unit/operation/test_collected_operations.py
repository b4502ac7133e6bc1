"""Operations that the collector takes, in a cycle with what they belong to: their memory is given
back all the same."""

from __future__ import annotations

import gc
import mmap
import os

import pytest

from zcloop import sync
from zcloop._native.events.event_request import EventRequest
from zcloop._native.operation import files
from zcloop.message_queues import PosixQueue, unlink

pytestmark = pytest.mark.zcloop_only


def collected(operation):
    """The operation becomes part of a cycle, which is garbage."""
    data = []
    data.append(EventRequest("request", None, operation, data=data))
    del operation, data
    gc.collect()


@pytest.mark.parametrize(
    "make",
    [
        lambda buffer: files.read(0, buffer),
        lambda buffer: files.write(1, buffer),
        lambda buffer: files.readv(0, [buffer]),
        lambda buffer: files.read(0, memoryview(buffer)),
    ],
    ids=["read", "write", "readv", "view"],
)
def test_a_request_lets_its_buffer_go(make):
    buffer = bytearray(8)
    collected(make(buffer))
    buffer.append(0)  # BufferError while it is exported


def test_messages_of_queues_let_their_buffers_go():
    name = f"/zcloop-{os.getpid()}-collected"
    with PosixQueue(name, create=True, maxmsg=1, msgsize=8) as queue:
        unlink(name)
        received, sent = bytearray(8), bytearray(8)
        collected(queue._operation(received))
        collected(queue.sending(sent))
        received.append(0)
        sent.append(0)


def test_what_processes_share_lets_its_buffer_go():
    memory = mmap.mmap(-1, 4096)
    semaphore = sync.Semaphore(1, buffer=memory)
    semaphore.itself = semaphore
    del semaphore
    gc.collect()
    memory.close()  # BufferError while it is exported
