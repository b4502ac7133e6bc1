"""ZCLOOP_WITHOUT and ZCLOOP_LIBURING, as a program is started with them."""

import contextlib

import pytest
from peers import script
from providers import EITHER
from refusals import FORMS as REFUSED

import zcloop

pytestmark = pytest.mark.zcloop_only
FORMS = (*REFUSED, "segmented_send", "minimal_wait")
SWITCHES = {
    **{f"without {form}": {"ZCLOOP_WITHOUT": form} for form in FORMS},
    "without all": {"ZCLOOP_WITHOUT": ",".join(FORMS)},
    "with all": {},
}


@pytest.mark.parametrize("provider", EITHER)
@pytest.mark.parametrize("switches", SWITCHES.values(), ids=SWITCHES)
def test_everything_goes_on_without_what_the_environment_names(switches, provider, monkeypatch):
    monkeypatch.delenv("ZCLOOP_WITHOUT", raising=False)
    with contextlib.closing(zcloop.new_event_loop()) as loop:
        had = [form for form, is_there in loop.features.items() if is_there]
    monkeypatch.setenv("ZCLOOP_LIBURING", provider)
    for name, value in switches.items():
        monkeypatch.setenv(name, value)
    said = script(
        f"""
from zcloop._native.ring import liburing

class Datagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.transport.sendto(data, address)

async def echo(reader, writer):
    while data := await reader.read(1 << 20):
        writer.write(data)
        await writer.drain()
    writer.close()

async def main():
    loop = asyncio.get_running_loop()
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    for size in (1, 16_384, 16_385, 1 << 20, 10):
        data = os.urandom(size)
        writer.write(data)
        assert await reader.readexactly(size) == data
    writer.close()
    await writer.wait_closed()
    server.close()
    endpoint, _ = await loop.create_datagram_endpoint(Datagrams, local_addr=("127.0.0.1", 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect(endpoint.get_extra_info("sockname"))
        for size in (0, 1, 65_507):
            data = os.urandom(size)
            sock.send(data)
            assert await loop.sock_recv(sock, 1 << 16) == data
    endpoint.close()
    await asyncio.sleep(0.01)
    print(*(form for form in {FORMS} if not getattr(loop.channel, "has_" + form)), sep=",")
    assert (liburing.provider == "direct") == (os.environ["ZCLOOP_LIBURING"] == "direct")

with asyncio.Runner(loop_factory=new_event_loop) as runner:
    runner.run(main())
"""
    )
    without = switches.get("ZCLOOP_WITHOUT", "").split(",")
    assert said == ",".join(form for form in FORMS if form in without or form not in had) + "\n"
