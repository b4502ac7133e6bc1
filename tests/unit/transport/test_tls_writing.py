"""What is written to a TLS transport, in whatever form, arrives as its bytes."""

import array
import asyncio
import ctypes

import pytest
from encryption import encrypted
from lending import LeaseRecorder
from peers import connection, io_passed, payload
from recording import Recorder

pytestmark = pytest.mark.zcloop_only  # asyncio loses parts of some, and the connection with others


@pytest.mark.parametrize("method", ["write", "writelines"])
async def test_views_of_any_shape_are_sent_as_their_bytes(certificates, method):
    data = payload(400_000)
    views = [
        memoryview(array.array("I", data)),
        memoryview(data)[::2],
        memoryview(array.array("I", data))[::3],
        memoryview((ctypes.c_uint32 * 100_000).from_buffer_copy(data)),
        memoryview(data).cast("B", [4, 100_000]),
        memoryview(b""),
    ]
    async with encrypted(certificates) as (protocol, peer):
        if method == "writelines":
            protocol.transport.writelines(views)
        else:
            for view in views:
                protocol.transport.write(view)
        wanted = b"".join(view.tobytes() for view in views)
        assert await peer.received(len(wanted)) == wanted


async def test_views_of_writelines_may_be_released_at_once(certificates):
    """Also those that asyncio keeps because it cannot encrypt them yet."""
    async with encrypted(certificates, LeaseRecorder) as (protocol, peer):
        transport = protocol.transport
        tls = transport._ssl_protocol
        view = transport.reserve(5)
        view[:] = b"later"
        state, tls._state = tls._state, type(tls._state).DO_HANDSHAKE
        transport.writelines([b"first ", view])
        view.release()
        tls._state = state
        transport.write(b"!")
        assert await peer.received(12) == b"first later!"


async def test_what_another_protocol_keeps_does_not_stop_the_next(certificates):
    following = Recorder()
    async with encrypted(certificates, lambda: LeaseRecorder(keeps=True)) as (protocol, peer):
        transport = protocol.transport
        transport.set_lease_limits(copybreak=0, quota=8192)
        peer.transport.write(bytes(20_000))
        await protocol.received(20_000)
        peer.transport.write(b"more")
        await io_passed()
        assert len(protocol.data) == 20_000
        transport.set_protocol(following)
        assert await following.received(4) == b"more"
        transport.set_protocol(protocol)
        protocol.release()


async def test_what_is_no_buffer_is_a_type_error(certificates):
    async with encrypted(certificates) as (protocol, peer):
        for wrong in ("text", 5, None):
            with pytest.raises(TypeError):
                protocol.transport.write(wrong)
        protocol.transport.write(b"next")
        assert await peer.received(4) == b"next"


async def test_start_tls_on_a_transport_that_closes_reports_nothing(certificates, reported):
    loop = asyncio.get_running_loop()
    async with connection(Recorder) as (transport, _, _peer):
        transport.close()
        context = certificates.client_context()
        await loop.start_tls(transport, Recorder(), context, server_hostname="localhost")
        await io_passed()
    assert reported == []
