"""What a forked child may do with its parent's loop, and what the parent notices: nothing."""

import pytest
from forks import IN_CHILD
from peers import script

CHILD = (
    IN_CHILD
    + """
# Since Python 3.14 the interpreter itself refuses to run the tasks of the parent's loop, and tells
# the handler of each.
QUIET = lambda loop, context: None

async def own():
    await asyncio.sleep(0.001)
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    server.close()
    print("own loop")

def run_own():
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(own())
"""
)


def program(source):
    return script(CHILD + source)


def test_parent_and_child_each_go_on_after_a_fork_inside_the_running_loop():
    said = program(
        """
async def main():
    one, other = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=one)
    await asyncio.sleep(0.001)
    pid = in_child(run_own)
    other.send(b"to the parent")
    assert await reader.readexactly(13) == b"to the parent"
    ended(pid)
    await asyncio.sleep(0.001)
    writer.close()
    await writer.wait_closed()
    other.close()
    print("parent")

with asyncio.Runner(loop_factory=new_event_loop) as runner:
    runner.run(main())
"""
    )
    assert said == "own loop\nparent\n"


@pytest.mark.zcloop_only
def test_the_inherited_loop_says_whose_it_is_and_can_be_closed():
    said = program(
        """
import warnings
loop = new_event_loop()
one, other = socket.socketpair()
one.setblocking(False)
loop.add_reader(one, print)
loop.add_signal_handler(signal.SIGUSR1, print)
loop.run_until_complete(asyncio.sleep(0.001))

def child():
    for use in (lambda: loop.call_soon_threadsafe(print), loop.run_forever):
        try:
            use()
        except RuntimeError as error:
            assert "belongs to the parent process" in str(error), error
        else:
            raise AssertionError(use)
    loop.close()
    loop.close()
    assert loop.is_closed()
    run_own()

ended(in_child(child))
loop.run_until_complete(asyncio.sleep(0.001))
loop.remove_reader(one)
loop.close()
one.close(); other.close()
print("parent")
"""
    )
    assert said == "own loop\nparent\n"


@pytest.mark.zcloop_only
def test_a_child_that_unwinds_out_of_the_running_loop_gets_a_clear_error():
    said = program(
        """
async def main():
    await asyncio.sleep(0.001)
    if os.fork() == 0:
        loop.set_exception_handler(QUIET)
        await asyncio.sleep(0.001)
        print("unreachable")
    else:
        os.wait()
        await asyncio.sleep(0.001)

loop = new_event_loop()
parent = os.getpid()
main = loop.create_task(main())
try:
    loop.run_until_complete(main)
except RuntimeError as error:
    main._log_destroy_pending = False
    assert os.getpid() != parent and "belongs to the parent process" in str(error)
    loop.close()
    run_own()
    print("child", flush=True)
    os._exit(0)
loop.close()
print("parent")
"""
    )
    assert said == "own loop\nchild\nparent\n"


@pytest.mark.zcloop_only
def test_transports_in_the_child_do_not_reach_into_the_parents_ring():
    said = program(
        """
async def main():
    one, other = socket.socketpair()
    transport, _ = await loop.create_connection(asyncio.Protocol, sock=one)
    await asyncio.sleep(0.001)

    def child():
        for use in (transport.abort, transport.close, lambda: transport.write(b"from the child")):
            try:
                use()
            except RuntimeError:
                pass

    ended(in_child(child))
    await asyncio.sleep(0.001)
    transport.write(b"from the parent")
    other.setblocking(False)
    assert await loop.sock_recv(other, 100) == b"from the parent"
    assert not transport.is_closing()
    transport.abort()
    await asyncio.sleep(0.001)
    other.close()
    print("parent")

with asyncio.Runner(loop_factory=new_event_loop) as runner:
    loop = runner.get_loop()
    runner.run(main())
"""
    )
    assert said == "parent\n"


def test_a_listener_closed_in_the_parent_is_closed_although_a_child_lives():
    said = program(
        """
async def main():
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    await asyncio.sleep(0.001)
    gate, opener = os.pipe()
    pid = in_child(lambda: (server.sockets[0]._sock.close(), os.close(opener), os.read(gate, 1)))
    ready = socket.create_connection(address)
    assert await loop.run_in_executor(None, ready.recv, 1) == b""
    ready.close()
    server.close()
    await server.wait_closed()
    # Only once the child has closed its copy is the port free.
    os.close(gate)
    while True:
        try:
            socket.create_connection(address).close()
        except ConnectionRefusedError:
            break
        await asyncio.sleep(0.001)
    os.close(opener)
    ended(pid)
    print("parent")

with asyncio.Runner(loop_factory=new_event_loop) as runner:
    loop = runner.get_loop()
    runner.run(main())
"""
    )
    assert said == "parent\n"


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing_runs_loops_in_its_children(method, tmp_path):
    path = tmp_path / "program.py"
    path.write_text(
        f"""
import asyncio, multiprocessing
{"from " + __import__("peers").LOOP_NAME.replace(":", " import ")} as new_event_loop

def child(queue, number):
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        queue.put(runner.run(asyncio.sleep(0.001, number)))

async def main():
    context = multiprocessing.get_context("{method}")
    queue = context.Queue()
    await asyncio.sleep(0.001)
    children = [context.Process(target=child, args=(queue, number)) for number in range(3)]
    for each in children:
        each.start()
    results = [await asyncio.to_thread(queue.get) for _ in children]
    for each in children:
        await asyncio.to_thread(each.join)
        assert each.exitcode == 0
        each.close()
    queue.close()
    await asyncio.to_thread(queue.join_thread)
    print(sorted(results))

if __name__ == "__main__":
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main())
"""
    )
    said = script(f"import runpy; runpy.run_path({str(path)!r}, run_name='__main__')")
    assert said == "[0, 1, 2]\n"


def test_a_child_forked_between_two_datagrams_of_one_buffer_does_not_read_on():
    said = program(
        """
class Forking(asyncio.DatagramProtocol):
    received = 0

    def datagram_received(self, data, addr):
        self.received += 1
        if self.received == 2:
            self.pid = os.fork()
            if self.pid == 0:
                self.loop.set_exception_handler(QUIET)

async def main():
    loop = Forking.loop = asyncio.get_running_loop()
    receiver, protocol = await loop.create_datagram_endpoint(Forking, ("127.0.0.1", 0))
    receiver.set_segmented_receive(True)
    sender, _ = await loop.create_datagram_endpoint(
        asyncio.DatagramProtocol, remote_addr=receiver.get_extra_info("sockname"))
    sender.sendto_many([b"one datagram"] * 20)
    while protocol.received < 20:
        await asyncio.sleep(0.001)
    ended(protocol.pid)
    receiver.close()
    sender.close()
    await asyncio.sleep(0.001)
    print("parent")

pid = os.getpid()
with asyncio.Runner(loop_factory=new_event_loop) as runner:
    try:
        runner.run(main())
    except RuntimeError as error:
        assert "belongs to the parent" in str(error), error
    finally:
        if os.getpid() != pid:
            os._exit(0)
"""
    )
    assert said == "parent\n"
