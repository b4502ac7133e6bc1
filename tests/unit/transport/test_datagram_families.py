"""Datagram sockets of families that are neither the internet's nor Unix's: addresses as socket has
them."""

import asyncio
import socket
import struct

import pytest
from datagrams import endpoint
from peers import payload

RTM_GETLINK, NLMSG_DONE = 18, 3
NLM_F_REQUEST_DUMP = 0x301
NETLINK_ROUTE = 0


def datagrams_of(protocol):
    return [call for call in protocol.calls if call[0] == "datagram_received"]


async def test_netlink_answers_come_with_their_address():
    ours = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_ROUTE)
    ours.bind((0, 0))
    name = ours.getsockname()
    async with endpoint(sock=ours) as (transport, protocol):
        assert transport.get_extra_info("sockname") == name
        request = struct.pack("=IHHIIB3x", 20, RTM_GETLINK, NLM_F_REQUEST_DUMP, 7, 0, 0)
        transport.sendto(request, (0, 0))
        await protocol.until(
            lambda: any(data[4:6] == struct.pack("=H", NLMSG_DONE) for data in protocol.datagrams)
        )
        assert {address for _, _, address in datagrams_of(protocol)} == {(0, 0)}
        assert protocol.errors == []


async def test_packets_come_with_interface_protocol_and_hardware_address():
    try:
        ours = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
    except PermissionError:
        pytest.skip("packet sockets need CAP_NET_RAW")
    ours.bind(("lo", 0x0800))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        name = ours.getsockname()
        async with endpoint(sock=ours) as (transport, protocol):
            assert transport.get_extra_info("sockname") == name
            peer.sendto(payload(100), peer.getsockname())

            def ours_of():
                return [who for _, data, who in datagrams_of(protocol) if payload(100) in data]

            await asyncio.wait_for(protocol.until(ours_of), 5)
            interface, protocol_number, kind, hardware_type, hardware = ours_of()[0]
            assert (interface, protocol_number, hardware_type) == ("lo", 0x0800, 772)
            assert kind in (socket.PACKET_HOST, socket.PACKET_OUTGOING)
            assert hardware == bytes(6)
