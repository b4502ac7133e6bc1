"""What a path does to datagrams that may leave together: it is done to each, as if they went alone.

Each test is in a network of its own.
"""

import asyncio
import errno
import socket
import threading

import namespaces
import pytest
from datagrams import arrived, endpoint, nothing_more, receiver
from peers import payload

pytestmark = namespaces.needed
IP_MTU_DISCOVER, IP_PMTUDISC_DO = 10, 2


def ip(command):
    namespaces.ip(*command.split())


def in_namespace(loop, main):
    """Run main(loop) where there is but a loopback of 1,500 bytes at a time."""
    failures = []

    def run():
        try:
            namespaces.enter_namespace()
            ip("link set lo mtu 1500 up")
            loop.run_until_complete(main())
        except BaseException as failure:
            failures.append(failure)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def wire():
    """The far end of a cable to 10.9.9.2, with all that comes out of it."""
    ip("link add near type veth peer name far")
    ip("link set near gso_max_segs 1 up")
    ip("link set far up")
    ip("address add 10.9.9.1/24 dev near")
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)
    sock.bind(("far", 0x0800))
    sock.setblocking(False)
    return sock


def know_the_neighbour():
    ip("neighbour replace 10.9.9.2 lladdr 02:00:00:00:00:02 dev near")


def test_those_that_are_too_large_for_the_path_go_in_fragments(loop):
    async def main():
        with receiver() as peer:
            async with endpoint(remote_addr=peer.getsockname()) as (transport, protocol):
                for size in (3000, 1472, 1473, 20, 3000):
                    data = [payload(size, seed) for seed in range(10)]
                    for one in data:
                        transport.sendto(one)
                    assert await arrived(peer, 10) == data
                assert protocol.errors == []

    in_namespace(loop, main)


def test_where_fragments_are_forbidden_each_that_is_too_large_is_an_error(loop):
    async def main():
        with receiver() as peer:
            ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            ours.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
            ours.connect(peer.getsockname())
            async with endpoint(sock=ours) as (transport, protocol):
                for size in (1472, 1473, 1473, 1473, 1473, 1473, 1472):
                    transport.sendto(payload(size))
                assert await arrived(peer, 2) == [payload(1472)] * 2
                await protocol.until(lambda: len(protocol.errors) >= 5)
                assert [error.errno for error in protocol.errors] == [errno.EMSGSIZE] * 5
                nothing_more(peer)

    in_namespace(loop, main)


@pytest.mark.parametrize(
    ("route", "expected"),
    [(None, errno.ENETUNREACH), ("prohibit", errno.EACCES), ("unreachable", errno.EHOSTUNREACH)],
)
def test_each_that_has_no_route_is_an_error_and_the_others_arrive(loop, route, expected):
    async def main():
        if route:
            ip(f"route add {route} 10.1.1.1")
        with receiver() as peer:
            async with endpoint(local_addr=("0.0.0.0", 0)) as (transport, protocol):
                for number in range(18):
                    there = number // 6 % 2 == 0
                    transport.sendto(
                        b"%02d" % number, peer.getsockname() if there else ("10.1.1.1", 9)
                    )
                wanted = [b"%02d" % number for number in (*range(6), *range(12, 18))]
                assert await arrived(peer, 12) == wanted
                await protocol.until(lambda: len(protocol.errors) >= 6)
                assert [error.errno for error in protocol.errors] == [expected] * 6

    in_namespace(loop, main)


def test_on_the_wire_they_are_as_asyncio_sends_them(loop):
    async def main():
        with wire() as far:
            know_the_neighbour()
            async with endpoint(remote_addr=("10.9.9.2", 9)) as (transport, _):
                for number in range(10):
                    transport.sendto(b"%d" % number * 1000)
                packets = await arrived(far, 10)
        assert [packet[28:] for packet in packets] == [b"%d" % k * 1000 for k in range(10)]
        assert {len(packet) for packet in packets} == {1028}
        assert {packet[24:26] for packet in packets} == {(1008).to_bytes(2, "big")}

    in_namespace(loop, main)


def test_what_has_no_room_waits_in_order_and_the_protocol_with_it(loop):
    async def main():
        ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 20_000)
        with wire() as far:
            ours.connect(("10.9.9.2", 9))
            async with endpoint(sock=ours) as (transport, protocol):
                for number in range(150):  # the first ones wait for the neighbour's address
                    transport.sendto(b"%03d" % number + bytes(997))
                    if number % 20 == 19:
                        await asyncio.sleep(0)
                await protocol.until(lambda: "pause_writing" in protocol.names)
                waiting = transport.get_write_buffer_size()
                assert 64 * 1024 < waiting < 150 * 1008
                know_the_neighbour()
                packets = await arrived(far, 150)
                await protocol.until(lambda: "resume_writing" in protocol.names)
                assert transport.get_write_buffer_size() == 0
        assert [packet[28:31] for packet in packets] == [b"%03d" % k for k in range(150)]

    in_namespace(loop, main)
