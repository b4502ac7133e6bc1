"""EMFILE: the listener says so once, backs off for a second, and goes on."""

import asyncio
import resource

import pytest
from peers import script

HEAD = """
import resource

class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)

def use_up():
    \"\"\"Take every descriptor that the limit leaves.\"\"\"
    used = []
    try:
        while True:
            used.append(os.dup(0))
    except OSError:
        return used

async def answer(client):
    client.setblocking(False)
    await loop.sock_sendall(client, b"x")
    return await loop.sock_recv(client, 1)

resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
reports = []
loop = new_event_loop()
loop.set_exception_handler(lambda _, context: reports.append(context))
"""


def test_the_listener_backs_off_tells_once_and_recovers():
    said = script(
        HEAD
        + """
async def main():
    server = await loop.create_server(Echo, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    clients = [socket.socket() for _ in range(3)]
    used = use_up()
    for client in clients:
        client.connect(address)
    while not reports:
        await asyncio.sleep(0.01)
    start = loop.time()
    for fd in used:
        os.close(fd)
    print([await answer(client) for client in clients] == [b"x"] * 3)
    print(0.7 < loop.time() - start < 3)
    for client in clients:
        client.close()
    server.close()
    await asyncio.sleep(0.01)

loop.run_until_complete(main())
loop.close()
print(len(reports), reports[0]["message"], reports[0]["exception"].errno,
      reports[0]["socket"].fileno() == -1)
"""
    )
    assert said == "True\nTrue\n1 socket.accept() out of system resource 24 True\n"


def test_closing_the_listener_while_it_backs_off_ends_it():
    said = script(
        HEAD
        + """
async def main():
    server = await loop.create_server(Echo, "127.0.0.1", 0)
    client = socket.socket()
    used = use_up()
    client.connect(server.sockets[0].getsockname())
    while not reports:
        await asyncio.sleep(0.01)
    server.close()
    for fd in used:
        os.close(fd)
    client.settimeout(5)
    try:
        print(client.recv(1))
    except ConnectionResetError:
        print("reset")
    client.close()
    await asyncio.sleep(1.2)

loop.run_until_complete(main())
loop.close()
print(len(reports))
"""
    )
    assert said == "reset\n1\n"


def test_connections_that_are_open_are_served_meanwhile():
    said = script(
        HEAD
        + """
async def main():
    server = await loop.create_server(Echo, "127.0.0.1", 0)
    first, second = socket.socket(), socket.socket()
    first.connect(server.sockets[0].getsockname())
    await answer(first)
    used = use_up()
    second.connect(server.sockets[0].getsockname())
    while not reports:
        await asyncio.sleep(0.01)
    for _ in range(100):
        assert await answer(first) == b"x"
    for fd in used:
        os.close(fd)
    print(await answer(second))
    first.close()
    second.close()
    server.close()
    await asyncio.sleep(0.01)

loop.run_until_complete(main())
loop.close()
"""
    )
    assert said == "b'x'\n"


@pytest.mark.zcloop_only  # a selector loop that could not be made warns of itself
@pytest.mark.parametrize("left", range(6))
def test_a_loop_that_finds_no_descriptor_raises_and_leaks_none(left):
    said = script(
        HEAD
        + f"""
loop.close()
used = use_up()
for fd in used[:{left}]:
    os.close(fd)
before = len(os.listdir("/proc/self/fd")) if {left} else None
for _ in range(20):
    try:
        new_event_loop().close()
    except OSError as error:
        assert error.errno == 24, error
import gc; gc.collect()
print(before is None or before == len(os.listdir("/proc/self/fd")))
"""
    )
    assert said == "True\n"


async def test_create_connection_without_a_descriptor_raises():
    """A limit of what is used now: the next socket has no number."""
    loop = asyncio.get_running_loop()
    async with await loop.create_server(asyncio.Protocol, "127.0.0.1", 0) as server:
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
        try:
            with pytest.raises(OSError, match="Too many open files"):
                await loop.create_connection(asyncio.Protocol, *server.sockets[0].getsockname())
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
