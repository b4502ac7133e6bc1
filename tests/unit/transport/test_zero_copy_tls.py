"""ZeroCopyProtocol over TLS: what is decrypted is lent."""

import asyncio

import pytest
from encryption import encrypted
from lending import LeaseRecorder
from peers import io_passed, payload, tcp_pair
from recording import Recorder

import zcloop

pytestmark = pytest.mark.zcloop_only


async def test_what_is_decrypted_is_lent_and_not_copied(certificates):
    data = payload(300_000)
    with zcloop.Region(1 << 20) as region:
        async with encrypted(certificates, lambda: LeaseRecorder(keeps=True)) as (protocol, peer):
            protocol.transport.associate(region)
            protocol.transport.set_lease_limits(copybreak=0)
            peer.transport.write(data)
            assert await protocol.received(len(data)) == data
            figures = protocol.transport.lease_statistics()
            assert (figures["lent_bytes"], figures["copied_bytes"]) == (len(data), 0)
            assert figures["leases"] == len(protocol.views) == len(region.leases())
            assert {one["owner"] for one in region.leases()} == {"LeaseRecorder"}
        assert b"".join(protocol.views) == data, "the views outlive their transport"
        protocol.release()
        assert region.free_bytes == region.size


async def test_a_lease_has_exactly_what_came(certificates):
    with zcloop.Region(1 << 20) as region:
        async with encrypted(certificates, lambda: LeaseRecorder(keeps=True)) as (protocol, peer):
            protocol.transport.associate(region)
            peer.transport.write(bytes(5000))
            await protocol.received(5000)
            assert [view.nbytes for view in protocol.views] == [5000]
            assert region.size - region.free_bytes == 8192
        protocol.release()


async def test_a_small_message_is_copied_and_counted(certificates):
    async with encrypted(certificates, lambda: LeaseRecorder(keeps=True)) as (protocol, peer):
        peer.transport.write(b"small")
        assert await protocol.received(5) == b"small"
        figures = protocol.transport.lease_statistics()
        assert (figures["copied_bytes"], figures["lent_bytes"], figures["held"]) == (5, 0, 0)
        assert figures["starved_bytes"] == 0


async def test_without_free_memory_it_is_copied_and_counted_as_starved(certificates):
    data = payload(20_000)
    with zcloop.Region(65536) as region, region.reserve(65536):
        async with encrypted(certificates, LeaseRecorder) as (protocol, peer):
            protocol.transport.associate(region)
            protocol.transport.set_lease_limits(copybreak=0)
            peer.transport.write(data)
            assert await protocol.received(len(data)) == data
            figures = protocol.transport.lease_statistics()
            assert figures["starved_bytes"] == figures["copied_bytes"] == len(data)


async def test_a_region_smaller_than_a_read_is_lent_all_the_same(certificates):
    data = payload(100_000)
    with zcloop.Region(32768) as region:
        async with encrypted(certificates, LeaseRecorder) as (protocol, peer):
            protocol.transport.associate(region)
            peer.transport.write(data)
            assert await protocol.received(len(data)) == data
            assert protocol.transport.lease_statistics()["lent_bytes"] > len(data) // 2


async def test_a_connection_that_waits_holds_no_memory(certificates):
    with zcloop.Region(1 << 20) as region:

        class Associating(LeaseRecorder):
            def connection_made(self, transport):
                transport.associate(region)
                super().connection_made(transport)

        async with encrypted(certificates, Associating) as (protocol, peer):
            assert region.free_bytes == region.size, "tried to read after the handshake"
            peer.transport.write(bytes(10_000))
            await protocol.received(10_000)
            await io_passed()
            assert region.free_bytes == region.size


async def test_over_its_quota_it_is_not_read_from_until_leases_are_back(certificates):
    data = payload(4_000_000)
    async with encrypted(certificates, lambda: LeaseRecorder(keeps=True)) as (protocol, peer):
        transport = protocol.transport
        transport.set_lease_limits(quota=500_000)
        peer.transport.write(data)
        await protocol.until(lambda: transport.lease_statistics()["held"] > 500_000)
        for _ in range(20):
            await io_passed()
        held = transport.lease_statistics()["held"]
        assert held < 500_000 + 3 * 256 * 1024
        assert transport.lease_statistics()["pauses"] == 1
        assert len(protocol.data) < len(data)
        while len(protocol.data) < len(data):
            protocol.release()
            await protocol.until(lambda: protocol.views)
        assert bytes(protocol.data) == data
        protocol.release()
        assert transport.lease_statistics()["leases"] == 0


async def test_the_application_sees_its_own_protocol(certificates):
    async with encrypted(certificates, LeaseRecorder) as (protocol, peer):
        transport = protocol.transport
        assert transport.get_protocol() is protocol
        plain = Recorder()
        transport.set_protocol(plain)
        assert transport.get_protocol() is plain
        peer.transport.write(bytes(10_000))
        await plain.received(10_000)
        assert protocol.data == b""
        transport.set_protocol(protocol)
        peer.transport.write(bytes(20_000))
        await protocol.received(20_000)
        assert len(plain.data) == 10_000


@pytest.mark.parametrize("server_side", [False, True])
async def test_start_tls_for_a_protocol_that_takes_leases(certificates, server_side):
    loop = asyncio.get_running_loop()
    contexts = [certificates.client_context(), certificates.server_context()]
    data = payload(100_000)
    with tcp_pair() as (one, other):
        ours, _ = await loop.create_connection(LeaseRecorder, sock=one)
        theirs, _ = await loop.create_connection(Recorder, sock=other)
        protocol, peer = LeaseRecorder(), Recorder()
        ours, theirs = await asyncio.gather(
            *(
                loop.start_tls(
                    transport,
                    receiver,
                    contexts[side],
                    server_side=side,
                    server_hostname=None if side else "localhost",
                )
                for transport, receiver, side in (
                    (ours, protocol, server_side),
                    (theirs, peer, not server_side),
                )
            )
        )
        ours.set_lease_limits(copybreak=0)
        assert ours.get_protocol() is protocol
        theirs.write(data)
        assert await protocol.received(len(data)) == data
        assert ours.lease_statistics()["lent_bytes"] == len(data)
        ours.abort()
        theirs.abort()
        await protocol.lost()
        await peer.lost()


async def test_a_received_view_is_written_back_and_released_at_once(certificates):
    class Echo(LeaseRecorder):
        def buffer_received(self, view):
            with view:
                self.transport.write(view)

    data = payload(1_000_000)
    async with encrypted(certificates, Echo) as (protocol, peer):
        peer.transport.write(data)
        assert await peer.received(len(data)) == data
        assert protocol.transport.lease_statistics()["leases"] == 0


async def test_reserved_memory_may_be_released_when_it_was_written(certificates):
    async with encrypted(certificates, LeaseRecorder) as (protocol, peer):
        view = protocol.transport.reserve(50_000)
        view[:] = data = payload(50_000)
        protocol.transport.write(view)
        view.release()
        assert await peer.received(len(data)) == data


async def test_a_written_view_that_must_wait_may_be_released(certificates):
    """As in a renegotiation: asyncio keeps what it cannot encrypt yet."""
    async with encrypted(certificates, LeaseRecorder) as (protocol, peer):
        transport = protocol.transport
        view = transport.reserve(5)
        view[:] = b"later"
        transport._test__append_write_backlog(b"first ")
        tls = transport._ssl_protocol
        state, tls._state = tls._state, type(tls._state).DO_HANDSHAKE
        transport.write(view)
        view.release()
        tls._state = state
        transport.write(b"!")
        assert await peer.received(12) == b"first later!"


async def test_an_exception_in_buffer_received_closes_the_connection(certificates, reported):
    class Failing(LeaseRecorder):
        def buffer_received(self, view):
            with view:
                raise ArithmeticError

    async with encrypted(certificates, Failing) as (protocol, peer):
        peer.transport.write(bytes(10_000))
        assert isinstance(await protocol.lost(), ArithmeticError)
        assert isinstance(reported.pop()["exception"], ArithmeticError)


async def test_the_end_of_file_follows_the_data(certificates):
    async with encrypted(certificates, LeaseRecorder) as (protocol, peer):
        peer.transport.write(bytes(10_000))
        peer.transport.close()
        assert await protocol.lost() is None
        assert protocol.names[-2:] == ["eof_received", "connection_lost"]
        assert len(protocol.data) == 10_000
        assert protocol.transport.lease_statistics()["lent_bytes"] == 10_000


async def test_nothing_is_delivered_while_reading_is_paused(certificates):
    async with encrypted(certificates, LeaseRecorder) as (protocol, peer):
        protocol.transport.pause_reading()
        peer.transport.write(bytes(10_000))
        await io_passed()
        assert protocol.data == b""
        protocol.transport.resume_reading()
        assert len(await protocol.received(10_000)) == 10_000


async def test_what_came_before_the_pause_is_held_as_it_came(certificates):
    """A turn brings as many slots as the kernel likes: decrypted, all of them would be leases."""
    data = payload(2_000_000)
    slot = 16 * 1024
    async with encrypted(certificates, lambda: LeaseRecorder(keeps=True)) as (protocol, peer):
        transport = protocol.transport
        transport.set_lease_limits(quota=slot)
        peer.transport.write(data)
        await protocol.until(lambda: transport.lease_statistics()["held"] > slot)
        for _ in range(20):
            await io_passed()
        # One record more than the quota, and what its block has beyond the record.
        assert transport.lease_statistics()["held"] <= 4 * slot
        while len(protocol.data) < len(data):
            protocol.release()
            await protocol.until(lambda: protocol.views)
        assert bytes(protocol.data) == data
        protocol.release()


async def test_the_end_comes_after_what_was_held_for_leases(certificates):
    data = payload(300_000)
    async with encrypted(certificates, lambda: LeaseRecorder(keeps=True)) as (protocol, peer):
        protocol.transport.set_lease_limits(quota=16 * 1024)
        peer.transport.write(data)
        peer.transport.close()
        while len(protocol.data) < len(data):
            protocol.release()
            await protocol.until(lambda: protocol.views or protocol.is_lost)
        assert bytes(protocol.data) == data
        protocol.release()
        await protocol.until(lambda: protocol.is_lost)
