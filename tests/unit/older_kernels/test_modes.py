"""That the modes are what they say."""

import asyncio
import socket

import pytest
from peers import connection
from recording import DatagramRecorder, Recorder
from refusals import FORMS

pytestmark = pytest.mark.zcloop_only


async def test_each_form_is_given_up_when_it_is_missing(kernel):
    missing = {*kernel.get("without", ()), *kernel.get("refused", ())}
    if kernel.get("buffer_rings"):
        missing.update(FORMS)
    if kernel.get("is_shortened"):
        missing.clear()
    loop = asyncio.get_running_loop()
    accepted = []

    def factory():
        accepted.append(Recorder())
        return accepted[-1]

    server = await loop.create_server(factory, "127.0.0.1", 0)
    endpoint, datagrams = await loop.create_datagram_endpoint(
        DatagramRecorder, local_addr=("127.0.0.1", 0)
    )
    async with connection(Recorder) as (_, protocol, peer):
        peer.send(b"x")
        await protocol.received(1)
        with socket.create_connection(server.sockets[0].getsockname()):
            while not accepted:
                await asyncio.sleep(0)
        for form in FORMS:
            assert getattr(loop.channel, f"has_{form}") == (form not in missing), form
    server.close()
    await accepted[0].lost()
    endpoint.close()
    await datagrams.lost()
