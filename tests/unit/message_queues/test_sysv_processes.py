"""System V queues and semaphores between processes, after a fork, and beside signals."""

import asyncio
import os
import signal

import pytest
from blocked import waiting_threads
from peers import io_passed, script
from waits import block_until

from zcloop.message_queues import SysvQueue

pytestmark = pytest.mark.zcloop_only


def child(function):
    """The pid of a forked process that runs it."""
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


async def test_another_process_wakes_who_waits(sysv):
    receiving = asyncio.ensure_future(sysv.receive(3))
    await io_passed()
    source = """
        from zcloop.message_queues import SysvQueue
        with SysvQueue.attach(int(sys.argv[1])) as queue:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(queue.send(b"from afar", 3))
        """
    await asyncio.to_thread(script, source, str(sysv.id))
    assert await receiving == (b"from afar", 3)


async def test_messages_go_round_through_one_queue(sysv):
    def echo():
        while (got := sysv.receive_blocking(1, timeout=20))[0]:
            sysv.send_blocking(got[0], 2, timeout=20)

    pid = child(echo)
    for number in range(300):
        await sysv.send(b"%d" % number, 1)
        assert await sysv.receive(2) == (b"%d" % number, 2)
    await sysv.send(b"", 1)
    assert exit_status(pid) == 0


def test_a_forked_child_has_no_thread_and_leaves_the_parents_alone(sysv, loop, loop_factory):
    waiting = loop.create_task(sysv.receive(1))
    operation = sysv._operation_receive(5)
    also = loop.create_task(loop.perform(operation))
    loop.run_until_complete(io_passed())
    block_until(lambda: waiting_threads() == 2)

    def use():
        assert waiting_threads() == 0
        operation.withdraw()
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(sysv.send(b"from the child", 1))
            assert runner.run(asyncio.wait_for(sysv.receive(2), 20)) == (b"to the child", 2)
        sysv.close()

    pid = child(use)
    assert loop.run_until_complete(waiting) == (b"from the child", 1)
    sysv.try_send(b"to the child", 2)
    assert exit_status(pid) == 0
    sysv.try_send(b"still there", 5)
    assert loop.run_until_complete(also) == (b"still there", 5)


def test_the_kernel_makes_back_what_a_process_leaves(semaphore):
    def take():
        semaphore.acquire_blocking(2, 2, undo=True)
        semaphore.acquire_blocking(2, 1)
        os.kill(os.getpid(), signal.SIGKILL)

    assert exit_status(child(take)) == -signal.SIGKILL
    assert semaphore.value(2) == 4


def test_what_a_coroutine_waited_for_is_made_back_at_the_processs_end(semaphore, loop_factory):
    """The thread that acquired it has ended long before the process does."""

    def take():
        async def main():
            waiting = asyncio.ensure_future(semaphore.acquire(1, undo=True))
            await io_passed()
            block_until(lambda: semaphore.waiting(1) == (1, 0))
            semaphore.release(1)
            await waiting
            block_until(lambda: waiting_threads() == 0)
            assert semaphore.value(1) == 0

        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(main())

    assert exit_status(child(take)) == 0
    assert semaphore.value(1) == 1


async def test_signals_come_to_the_loop_while_threads_wait(sysv):
    loop = asyncio.get_running_loop()
    receiving = [asyncio.ensure_future(sysv.receive(kind)) for kind in range(1, 5)]
    await io_passed()
    for number in (signal.SIGUSR1, signal.SIGRTMIN + 1):
        came = loop.create_future()
        loop.add_signal_handler(number, came.set_result, None)
        os.kill(os.getpid(), number)  # to the process: the kernel chooses a thread
        await came
        loop.remove_signal_handler(number)
    assert not any(task.done() for task in receiving)
    for task in receiving:
        task.cancel()
    await asyncio.wait(receiving)


def test_the_programs_handlers_are_never_those_that_call_threads_out():
    """Two of the last signals are taken, and the one that was chosen is reset to kill."""
    said = script(
        """
        from zcloop.message_queues import SysvQueue

        called = []
        for number in (signal.SIGRTMAX, signal.SIGRTMAX - 1):
            signal.signal(number, lambda number, frame: called.append(number))

        async def cancelled(queue):
            task = asyncio.ensure_future(queue.receive())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])

        with SysvQueue() as queue:
            try:
                with asyncio.Runner(loop_factory=new_event_loop) as runner:
                    for _ in range(50):
                        runner.run(cancelled(queue))
                        signal.signal(signal.SIGRTMAX - 2, signal.SIG_DFL)
            finally:
                queue.remove()
        print(called, len(os.listdir("/proc/self/task")))
        """
    )
    assert said == "[] 1\n"


def test_a_program_ends_with_threads_that_wait():
    said = script(
        """
        from zcloop.message_queues import SysvQueue
        queue = SysvQueue()
        loop = new_event_loop()
        operation = queue._operation_receive()
        task = loop.create_task(loop.perform(operation))
        loop.run_until_complete(asyncio.sleep(0.001))
        print(len(os.listdir("/proc/self/task")))
        task.cancel()
        loop.run_until_complete(asyncio.wait([task]))
        loop.close()
        again = queue._operation_receive()
        try:
            again.block(0.01)
        finally:
            queue.remove()
        """
    )
    assert said == "2\n"


def test_more_threads_than_allowed_is_an_error_and_not_a_hang():
    said = script(
        """
        import resource
        from zcloop.message_queues import SysvQueue
        resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
        os.setuid(65534)
        queue = SysvQueue()
        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(queue.receive())
        except OSError as error:
            print(error)
        finally:
            queue.remove()
        """
    )
    assert "no thread to wait in" in said


def test_a_queue_that_is_not_ours_to_use():
    said = script(
        """
        from zcloop.message_queues import SysvQueue
        queue = SysvQueue()
        pid = os.fork()
        if pid == 0:
            os.setuid(65534)
            try:
                queue.try_receive()
            except PermissionError as error:
                print(error, flush=True)
            os._exit(0)
        os.waitpid(pid, 0)
        queue.remove()
        """
    )
    assert "Permission denied: message queue" in said


def test_a_key_in_use_is_attached_by_another_program(key):
    queue = SysvQueue(key, create=True)
    try:
        script(
            """
            from zcloop.message_queues import SysvQueue
            SysvQueue(int(sys.argv[1])).send_blocking(b"by key", 2)
            """,
            str(key),
        )
        assert queue.try_receive(2) == (b"by key", 2)
    finally:
        queue.remove()
