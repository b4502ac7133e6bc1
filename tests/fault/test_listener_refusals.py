"""What accepting answers to errors: the listening socket's own, and those of running out."""

import asyncio
import socket

import pytest
from peers import io_passed, script
from recording import Recorder
from waits import until


@pytest.mark.zcloop_only
async def test_a_socket_that_listens_no_more_ends_the_listener_which_says_so(reported):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Recorder, "127.0.0.1", 0)
    await io_passed()
    server.sockets[0]._sock.shutdown(socket.SHUT_RD)
    await until(lambda: reported)
    (context,) = reported
    reported.clear()
    assert context["exception"].errno == 22
    server.close()


@pytest.mark.zcloop_only  # asyncio raises ValueError a second later
def test_an_exception_handler_may_close_the_server_that_found_no_descriptor():
    said = script(
        """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))
loop = new_event_loop()

async def main():
    def closing(_, context):
        print(context["exception"].errno)
        server.close()
        told.set_result(None)

    told = loop.create_future()
    loop.set_exception_handler(closing)
    server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
    number = server.sockets[0].fileno()
    client = socket.socket()
    used = []
    try:
        while True:
            used.append(os.dup(0))
    except OSError:
        client.connect(server.sockets[0].getsockname())
    await told
    for fd in used:
        os.close(fd)
    # Whoever has the number next keeps its connections.
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert other.fileno() == number
        await asyncio.sleep(1.1)
        with socket.create_connection(other.getsockname()) as last:
            await asyncio.sleep(0.01)
            other.settimeout(5)
            accepted, _ = other.accept()
            accepted.close()
    client.close()
    print("kept")

loop.run_until_complete(main())
loop.close()
"""
    )
    assert said == "24\nkept\n"
