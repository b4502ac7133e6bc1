"""The operations behind the queues, performed as an EventChannel does: submitted, and settled."""

import asyncio
import errno

import pytest
from peers import io_passed

from zcloop._native.ipc.blocking_call import BlockingCall
from zcloop._native.ipc.change_sysv import ChangeSysv
from zcloop._native.ipc.receive_queue import ReceiveQueue
from zcloop._native.ipc.receive_sysv import ReceiveSysv
from zcloop._native.ipc.send_queue import SendQueue
from zcloop._native.ipc.send_sysv import SendSysv

pytestmark = pytest.mark.zcloop_only


async def begin(operation):
    task = asyncio.ensure_future(asyncio.get_running_loop().perform(operation))
    await io_passed()
    return task


async def test_a_posix_message_is_the_outcome(queue):
    receiving = await begin(queue._operation_receive())
    assert not receiving.done()
    assert await asyncio.get_running_loop().perform(queue._operation_send(b"x", 3)) is None
    assert await receiving == (b"x", 3)


async def test_a_queue_itself_stands_for_receiving_and_sending_is_asked_for(queue, sysv):
    loop = asyncio.get_running_loop()
    assert await loop.perform(queue.sending(b"posix", 2)) is None
    assert await loop.perform(queue._operation()) == (b"posix", 2)
    assert await loop.perform(sysv.sending(b"sysv", 3)) is None
    assert await loop.perform(sysv._operation(3)) == (b"sysv", 3)


async def test_a_posix_message_goes_into_the_buffer(queue):
    buffer = bytearray(64)
    receiving = await begin(queue._operation_receive(buffer))
    queue.try_send(b"into", 1)
    assert await receiving == (4, 1)
    assert buffer[:4] == b"into"


async def test_an_error_is_the_outcome_and_takes_nothing(queue):
    loop = asyncio.get_running_loop()
    queue.try_send(b"x")
    assert await loop.perform(queue._operation_receive(bytearray(10))) == -errno.EMSGSIZE
    assert await loop.perform(queue._operation_send(bytes(65))) == -errno.EMSGSIZE
    assert queue.getattr().curmsgs == 1


async def test_an_operation_of_a_closed_queue_ends(queue):
    loop = asyncio.get_running_loop()
    operations = queue._operation_receive(), queue._operation_send(b"x")
    queue.close()
    assert [await loop.perform(operation) for operation in operations] == [-errno.EBADF] * 2


async def test_a_sysv_message_is_the_outcome(sysv):
    receiving = await begin(sysv._operation_receive(5))
    assert not receiving.done()
    assert await asyncio.get_running_loop().perform(sysv._operation_send(b"x", 5)) is None
    assert await receiving == (b"x", 5)


async def test_a_sysv_message_that_is_there_already_is_the_outcome(sysv):
    sysv.try_send(b"before")
    assert await asyncio.get_running_loop().perform(sysv._operation_receive()) == (b"before", 1)


async def test_a_change_of_semaphores_is_made(semaphore):
    changing = await begin(semaphore._operation([(0, -1), (1, -1)]))
    assert not changing.done()
    semaphore.release(1)
    assert await changing is None
    assert semaphore.values() == [0, 0, 5]


async def test_an_operation_is_performed_once_at_a_time(sysv):
    operation = sysv._operation_receive()
    first = await begin(operation)
    with pytest.raises(RuntimeError, match="in flight already"):
        await asyncio.get_running_loop().perform(operation)
    sysv.try_send(b"x")
    assert await first == (b"x", 1)


async def test_a_withdrawn_operation_ends(sysv):
    operation = sysv._operation_receive()
    waiting = await begin(operation)
    operation.withdraw()
    operation.withdraw()
    assert await waiting == -errno.ECANCELED
    sysv.try_send(b"kept")
    assert sysv.try_receive() == (b"kept", 1)


@pytest.mark.parametrize("kind", ["posix", "sysv", "semaphore"])
async def test_an_operation_that_was_never_performed_does_nothing(queue, sysv, semaphore, kind):
    queue.try_send(b"x")
    sysv.try_send(b"x")
    makers = {
        "posix": queue._operation_receive,
        "sysv": sysv._operation_receive,
        "semaphore": lambda: semaphore._operation([(2, -1)]),
    }
    makers[kind]()
    assert (queue.getattr().curmsgs, sysv.status().messages) == (1, 1)
    assert semaphore.values() == [1, 0, 5]


@pytest.mark.parametrize("kind", [ReceiveQueue, SendQueue, ReceiveSysv, SendSysv, ChangeSysv])
def test_an_operation_is_not_made_without_what_it_waits_for(kind):
    with pytest.raises(TypeError):
        kind()
    with pytest.raises(TypeError):
        kind.__new__(kind)


async def test_a_call_of_nothing_is_an_error():
    assert await asyncio.get_running_loop().perform(BlockingCall()) == -errno.ENOMEM
