"""POSIX queues between processes, and after a fork."""

import asyncio
import os

import pytest
from peers import script

from zcloop.message_queues import PosixQueue

pytestmark = pytest.mark.zcloop_only


def child(function):
    """The exit status of a forked process that runs it."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            function()
            status = 0
        finally:
            os._exit(status)
    return pid


def exit_status(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


async def test_another_process_wakes_who_waits(queue, name):
    receiving = asyncio.ensure_future(queue.receive())
    source = """
        from zcloop.message_queues import PosixQueue
        with PosixQueue(sys.argv[1], access="w") as queue:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(queue.send(b"from afar", 3))
        """
    await asyncio.to_thread(script, source, name)
    assert await receiving == (b"from afar", 3)


def test_a_forked_child_uses_the_queue_with_a_loop_of_its_own(queue, loop, loop_factory):
    waiting = loop.create_task(queue.receive())
    loop.run_until_complete(asyncio.sleep(0))

    def answer():
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(queue.send(b"from the child"))
        queue.close()

    pid = child(answer)
    assert loop.run_until_complete(waiting) == (b"from the child", 0)
    assert exit_status(pid) == 0


def test_a_close_in_a_forked_child_leaves_the_parents_waits_alone(queue, loop):
    async def main():
        waiting = asyncio.ensure_future(queue.receive())
        await asyncio.sleep(0)
        assert exit_status(child(queue.close)) == 0
        await queue.send(b"after")
        assert await waiting == (b"after", 0)

    loop.run_until_complete(main())


async def test_messages_go_round_through_two_queues(name):
    with (
        PosixQueue(name, create=True, maxmsg=4) as there,
        PosixQueue(name + "-back", create=True, maxmsg=4) as back,
    ):
        back.unlink()

        def echo():
            while (got := there.receive_blocking(timeout=20))[0]:
                back.send_blocking(*got, timeout=20)

        pid = child(echo)
        for number in range(300):
            await there.send(b"%d" % number, number % 5)
            assert await back.receive() == (b"%d" % number, number % 5)
        await there.send(b"")
        assert exit_status(pid) == 0
