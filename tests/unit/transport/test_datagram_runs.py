"""Datagrams of one size to one address, which may leave the process together: nobody can tell."""

import asyncio
import contextlib
import os
import socket
import struct
import sys

import pytest
from datagrams import arrived, endpoint, nothing_more, receiver
from peers import io_passed, payload
from recording import DatagramRecorder

UDP_CORK, UDP_SEGMENT, UDP_GRO, SO_NO_CHECK = 1, 103, 104, 11
IPPROTO_UDPLITE = 136
SHAPES = {
    "equal": [100] * 150,
    "a shorter one ends a run": [500] * 5 + [499] * 4 + [500] * 5,
    "a longer one begins the next": [10, 10, 10, 11, 11, 12] * 10,
    "more than a buffer holds": [30_000] * 7,
    "the largest": [65_507] * 3,
    "all different": list(range(1, 100)),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
@pytest.mark.parametrize("connected", [False, True])
async def test_datagrams_arrive_one_by_one_and_in_order(shape, family, connected):
    data = [payload(size, seed) for seed, size in enumerate(SHAPES[shape])]
    with receiver(family) as peer:
        address = peer.getsockname()[:2]
        options = {"remote_addr": address} if connected else {"local_addr": (address[0], 0)}
        async with endpoint(**options) as (transport, protocol):
            for start in range(0, len(data), 60):
                for one in data[start : start + 60]:
                    transport.sendto(one, None if connected else address)
                assert (
                    await arrived(peer, len(data[start : start + 60])) == (data[start : start + 60])
                )
            nothing_more(peer)
            assert protocol.errors == []


@pytest.mark.zcloop_only  # asyncio sends empty datagrams since 3.13
async def test_empty_ones_between_them_are_datagrams_too():
    data = [b"", b"one", b"two", b"six", b"", b"", b"", b"ten", b""]
    with receiver() as peer:
        async with endpoint(remote_addr=peer.getsockname()) as (transport, _):
            for one in data:
                transport.sendto(one)
            assert await arrived(peer, len(data)) == data


async def test_each_goes_to_its_own_address():
    with receiver() as one, receiver() as other:
        async with endpoint(local_addr=("127.0.0.1", 0)) as (transport, _):
            for number in range(60):
                transport.sendto(b"%03d" % number, (one, other)[number // 5 % 2].getsockname())
            for peer, first in ((one, 0), (other, 5)):
                wanted = [b"%03d" % (start + k) for start in range(first, 60, 10) for k in range(5)]
                assert await arrived(peer, 30) == wanted


async def test_a_refusal_that_is_due_costs_the_first_only():
    with receiver() as gone:
        address = gone.getsockname()
    ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ours.connect(address)
    ours.send(b"nobody listens")  # what the next call on the socket is told

    class Sender(DatagramRecorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            for number in range(6):
                transport.sendto(b"%d" % number)

    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(address)
        peer.setblocking(False)
        transport, protocol = await loop.create_datagram_endpoint(Sender, sock=ours)
        assert await arrived(peer, 5) == [b"1", b"2", b"3", b"4", b"5"]
        await protocol.until(lambda: protocol.errors)
        assert [type(error) for error in protocol.errors] == [ConnectionRefusedError]
        transport.abort()
        await protocol.lost()


@pytest.mark.parametrize(
    ("option", "value"),
    [(SO_NO_CHECK, 1), (socket.SO_SNDBUF, 1)],
    ids=["no checksums", "the smallest buffer"],
)
async def test_sockets_that_cannot_send_them_together_send_them(option, value):
    data = [payload(1000, seed) for seed in range(64)]
    with receiver() as peer:
        ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        ours.setsockopt(socket.SOL_SOCKET, option, value)
        ours.connect(peer.getsockname())
        async with endpoint(sock=ours) as (transport, protocol):
            for _ in range(3):
                for one in data:
                    transport.sendto(one)
                assert await arrived(peer, len(data)) == data
            assert protocol.errors == []


@pytest.mark.zcloop_only
async def test_many_datagrams_without_an_address_are_refused_and_the_endpoint_goes_on():
    with receiver() as peer:
        async with endpoint(local_addr=("127.0.0.1", 0)) as (transport, _):
            with pytest.raises(ValueError, match="no address"):
                transport.sendto_many([b"to nobody"])
            transport.sendto_many([b"1", b"2"], peer.getsockname())
            assert await arrived(peer, 2) == [b"1", b"2"]


async def test_another_protocol_of_datagrams_is_not_udp():
    try:
        ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, IPPROTO_UDPLITE)
    except OSError:
        pytest.skip("this kernel has no UDP-Lite (7.0 dropped it)")
    with receiver(protocol=IPPROTO_UDPLITE) as peer:
        ours.connect(peer.getsockname())
        async with endpoint(sock=ours) as (transport, _):
            for number in range(10):
                transport.sendto(b"%d" % number)
            assert await arrived(peer, 10) == [b"%d" % number for number in range(10)]


@pytest.mark.zcloop_only
@pytest.mark.needs("segments_on_loopback")
@pytest.mark.parametrize("is_wanted", [True, False])
async def test_what_one_call_sends_leaves_together_unless_that_is_switched_off(is_wanted):
    asyncio.get_running_loop().channel.has_segmented_send = is_wanted
    with receiver() as peer:
        peer.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
        async with endpoint(remote_addr=peer.getsockname()) as (transport, _):
            transport.sendto_many([b"%d" % number for number in range(8)])
            wanted = [b"01234567"] if is_wanted else [b"%d" % number for number in range(8)]
            assert await arrived(peer, len(wanted)) == wanted


async def test_each_of_several_datagrams_is_the_kernels_when_sendto_returns():
    with receiver() as peer:
        async with endpoint(remote_addr=peer.getsockname()) as (transport, _):
            for number in range(8):
                transport.sendto(b"%d" % number)
                assert peer.recv(100) == b"%d" % number  # it does not wait


@pytest.mark.zcloop_only
async def test_what_leases_sent_is_counted():
    with receiver() as peer:
        async with endpoint(remote_addr=peer.getsockname()) as (transport, _):
            for number in range(8):
                with transport.reserve(500) as lease:
                    lease[:] = payload(500, number)
                    transport.sendto(lease)
            assert await arrived(peer, 8) == [payload(500, number) for number in range(8)]
            assert transport.lease_statistics()["sent_bytes"] == 4000


async def test_a_corked_socket_puts_together_what_it_is_given():
    with receiver() as peer:
        async with endpoint(remote_addr=peer.getsockname()) as (transport, _):
            ours = transport.get_extra_info("socket")
            ours.setsockopt(socket.IPPROTO_UDP, UDP_CORK, 1)
            for number in range(6):
                transport.sendto(b"%d" % number)
            await io_passed()
            ours.setsockopt(socket.IPPROTO_UDP, UDP_CORK, 0)
            assert await arrived(peer, 1) == [b"012345"]
            nothing_more(peer)


async def test_a_socket_that_cuts_by_itself_cuts_each_datagram():
    with receiver() as peer:
        async with endpoint(remote_addr=peer.getsockname()) as (transport, _):
            ours = transport.get_extra_info("socket")
            ours.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 2)
            for number in range(6):
                transport.sendto(b"%d" % number * 5)
            wanted = [b"%d" % number * size for number in range(6) for size in (2, 2, 1)]
            assert await arrived(peer, len(wanted)) == wanted
            nothing_more(peer)


@pytest.mark.skipif(os.geteuid() != 0, reason="raw sockets need CAP_NET_RAW")
@pytest.mark.skipif(sys.version_info < (3, 13), reason="asyncio refused raw sockets before 3.13")
async def test_a_raw_socket_that_makes_udp_packets_sends_each():
    with receiver() as peer:
        port = peer.getsockname()[1]
        ours = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
        async with endpoint(sock=ours) as (transport, _):
            for number in range(6):
                packet = struct.pack(">4H", 9, port, 12, 0) + b"%04d" % number
                transport.sendto(packet, ("127.0.0.1", 0))
            assert await arrived(peer, 6) == [b"%04d" % number for number in range(6)]


async def test_addresses_of_the_other_family_in_that_of_ours():
    data = [payload(700, seed) for seed in range(20)]
    with receiver() as peer:
        ours = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        ours.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        ours.bind(("::", 0))
        async with endpoint(sock=ours) as (transport, protocol):
            for one in data:
                transport.sendto(one, ("::ffff:127.0.0.1", peer.getsockname()[1]))
            assert await arrived(peer, len(data)) == data
            assert protocol.errors == []


@pytest.mark.parametrize("host", ["127.255.255.255", "239.255.7.7"], ids=["broad", "multi"])
async def test_every_receiver_gets_each(host):
    data = [payload(700, seed) for seed in range(20)]
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(receiver(is_shared=True)) for _ in range(2)]
        peers[0].bind(("", 0))
        peers[1].bind(peers[0].getsockname())
        if host.startswith("239"):
            joined = socket.inet_aton(host) + socket.inet_aton("127.0.0.1")
            for peer in peers:
                peer.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joined)
        ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        near = socket.inet_aton("127.0.0.1")
        ours.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, near)
        ours.bind(("127.0.0.1", 0))
        async with endpoint(sock=ours) as (transport, protocol):
            for one in data:
                transport.sendto(one, (host, peers[0].getsockname()[1]))
            for peer in peers:
                assert await arrived(peer, len(data)) == data
                nothing_more(peer)
            assert protocol.errors == []
