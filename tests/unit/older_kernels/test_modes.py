"""That the modes are what they say."""

import asyncio

import pytest
from peers import connection
from recording import DatagramRecorder, Recorder
from refusals import FORMS

pytestmark = pytest.mark.zcloop_only


async def test_each_form_is_given_up_when_it_is_missing(kernel):
    without, refused, buffer_rings = kernel
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Recorder, "127.0.0.1", 0)
    endpoint, datagrams = await loop.create_datagram_endpoint(
        DatagramRecorder, local_addr=("127.0.0.1", 0)
    )
    async with connection(Recorder) as (_, protocol, peer):
        peer.send(b"x")
        await protocol.received(1)
        missing = FORMS if buffer_rings else {*without, *refused}
        for form in FORMS:
            assert getattr(loop.channel, f"has_{form}") == (form not in missing), form
    server.close()
    endpoint.close()
    await datagrams.lost()
