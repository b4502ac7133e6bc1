"""A loop that was made before fork() and has never run: parent and child each have it."""

import pytest
from forks import IN_CHILD
from peers import script

# Uses what a loop has: timers, threads, TCP, children, signals.
WORK = """
async def echo(reader, writer):
    writer.write(await reader.readline())
    writer.close()
    await writer.wait_closed()

async def work():
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0.001)
    for _ in range(50):
        assert await asyncio.to_thread(os.getpid) == os.getpid()
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"line\\n")
    assert await reader.read() == b"line\\n"
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()
    process = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
    assert await process.communicate(b"by cat") == (b"by cat", None)
    arrived = loop.create_future()
    loop.add_signal_handler(signal.SIGUSR2, arrived.set_result, None)
    os.kill(os.getpid(), signal.SIGUSR2)
    await arrived
    loop.remove_signal_handler(signal.SIGUSR2)

def descriptors():
    return sorted(os.listdir("/proc/self/fd"))

def use(loop, name):
    for _ in range(2):
        loop.run_until_complete(work())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    assert descriptors() == before, (descriptors(), before)
    os.write(1, f"{name}\\n".encode())  # at once: two processes write

asyncio.set_event_loop(None)
before = descriptors()
loop = new_event_loop()
"""


def program(source):
    return script(IN_CHILD + WORK + source)


@pytest.mark.parametrize("order", ["child first", "parent first", "at once"])
def test_parent_and_child_each_run_it(order):
    said = program(
        f"""
def parent():
    use(loop, "parent")

def child():
    if {order!r} == "parent first":
        signal.sigwait([signal.SIGUSR1])
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
    use(loop, "child")

signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
pid = in_child(child)
if {order!r} != "child first":
    parent()
os.kill(pid, signal.SIGUSR1)
ended(pid)
if {order!r} == "child first":
    parent()
"""
    )
    assert sorted(said.splitlines()) == ["child", "parent"]


def test_a_daemon_runs_in_its_grandchild_what_it_made_before():
    said = program(
        """
def daemonize():
    os.setsid()
    ended(in_child(lambda: use(loop, "daemon")))
    use(loop, "child")

ended(in_child(daemonize))
use(loop, "parent")
"""
    )
    assert said == "daemon\nchild\nparent\n"


def test_what_was_asked_before_the_fork_is_done_in_both():
    said = program(
        """
seen = []
gate, opener = os.pipe()
loop.call_later(0.001, seen.append, "timer")
loop.call_soon(seen.append, "callback")
loop.add_reader(gate, lambda: (seen.append(os.read(gate, 1)), loop.remove_reader(gate)))
loop.add_signal_handler(signal.SIGUSR1, seen.append, "signal")

async def until_seen():
    while len(seen) < 4:
        await asyncio.sleep(0.001)

def both():
    os.kill(os.getpid(), signal.SIGUSR1)    # before the run: it waits for that
    loop.run_until_complete(until_seen())
    assert sorted(map(str, seen)) == ["b'x'", "callback", "signal", "timer"], seen
    os.kill(os.getpid(), signal.SIGUSR1)
    while len(seen) < 5:
        loop.run_until_complete(asyncio.sleep(0.001))
    assert seen[4] == "signal"
    loop.close()

os.write(opener, b"xx")
pid = in_child(both)
both()
ended(pid)
os.close(gate)
os.close(opener)
assert descriptors() == before
print("both")
"""
    )
    assert said == "both\n"


@pytest.mark.zcloop_only
def test_a_signal_to_the_parent_is_not_the_childs():
    said = program(
        """
seen = []
loop.add_signal_handler(signal.SIGUSR1, seen.append, 1)
os.kill(os.getpid(), signal.SIGUSR1)

def child():
    loop.run_until_complete(work())
    assert seen == []

ended(in_child(child))
loop.run_until_complete(work())
assert seen == [1]
loop.close()
print("parent")
"""
    )
    assert said == "parent\n"


@pytest.mark.zcloop_only
@pytest.mark.parametrize("end", ["loop.close(); loop.close()", "warnings.simplefilter('ignore')"])
def test_a_child_that_does_not_need_it_closes_or_drops_it(end):
    said = program(
        f"""
import gc, warnings

def child():
    global loop
    {end}
    del loop
    gc.collect()
    assert descriptors() == before, (descriptors(), before)

ended(in_child(child))
use(loop, "parent")
"""
    )
    assert said == "parent\n"


@pytest.mark.zcloop_only
def test_a_child_without_descriptors_is_told_at_its_first_run_and_may_try_again():
    said = program(
        """
import resource

def child():
    most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, most[1]))
    try:
        loop.run_forever()
    except OSError as error:
        assert error.errno == 24, error
    else:
        raise AssertionError("it ran")
    resource.setrlimit(resource.RLIMIT_NOFILE, most)
    use(loop, "child")

ended(in_child(child))
use(loop, "parent")
"""
    )
    assert said == "child\nparent\n"


def test_children_of_multiprocessing_run_it():
    said = program(
        """
import multiprocessing
context = multiprocessing.get_context("fork")

def child():
    for _ in range(2):
        loop.run_until_complete(work())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()

children = [context.Process(target=child) for _ in range(2)]
for each in children:
    each.start()
for each in children:
    each.join()
    assert each.exitcode == 0
    each.close()
use(loop, "parent")
"""
    )
    assert said == "parent\n"
