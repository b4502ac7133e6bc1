"""The end of an event channel: while another thread wants it, and of one that nobody closed."""

import pytest
from peers import script

pytestmark = pytest.mark.zcloop_only


def test_another_thread_finds_it_closed_while_close_waits_for_threads_of_its_own():
    """A wait for a System V queue has a thread. close() joins it, and lets go of the GIL there."""
    said = script(
        """
        import threading, time
        from zcloop import EventChannel, requests
        from zcloop.message_queues import SysvQueue

        def one_round(queue):
            channel = EventChannel(16)
            for _ in range(6):
                channel.submit([requests.wait_for(queue)])
            time.sleep(0.005)       # until the threads are in their calls
            closing, ready, seen = threading.Event(), threading.Event(), []

            def other():
                ready.set()
                closing.wait()
                try:
                    channel.take_over()
                    channel.wait(0.2)
                    seen.append("waited")
                except (ValueError, RuntimeError) as error:
                    seen.append(type(error).__name__)

            thread = threading.Thread(target=other)
            thread.start()
            ready.wait()
            closing.set()
            try:
                channel.close()
            except RuntimeError:    # the other one took it over first: it waits in vain
                thread.join()
                assert seen == ["waited"]
                channel.take_over()
                channel.close()
                return "before"
            thread.join()
            return seen[0]

        sys.setswitchinterval(1e-6)
        queue = SysvQueue()
        try:
            ends = [one_round(queue) for _ in range(20)]
        finally:
            queue.remove()
        print(sorted(set(ends) - {"before"}))
        """
    )
    assert said == "['ValueError']\n"


@pytest.mark.parametrize("kind", ["EventChannel", "EventQueue"])
def test_one_that_nobody_closed_closes_what_was_accepted(kind):
    """Also where the warning of it is an error, and for the native half alone."""
    said = script(
        """
        import gc, select
        from zcloop import EventChannel, requests
        from zcloop._native.events.event_queue import EventQueue

        def descriptors():
            return len(os.listdir("/proc/self/fd"))

        def drop_one(kind):
            channel = {"EventChannel": EventChannel, "EventQueue": EventQueue}[kind](8)
            channel.submit([requests.accept(listener)])
            with socket.create_connection(listener.getsockname()):
                select.select([channel], [], [])

        seen = []
        sys.unraisablehook = lambda unraisable: seen.append(unraisable.exc_type.__name__)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            drop_one(sys.argv[1])
            gc.collect()
            before = descriptors()
            for _ in range(5):
                drop_one(sys.argv[1])
            gc.collect()
            print(descriptors() - before, set(seen))
        """,
        kind,
    )
    assert said == ("0 {'ResourceWarning'}\n" if kind == "EventChannel" else "0 set()\n")
