"""Datagrams that are lent, sacrificed to newer ones, and cut into segments."""

import asyncio
import ctypes
import socket
import time

import pytest
from peers import io_passed, payload
from waits import until

import zcloop

pytestmark = pytest.mark.zcloop_only

IP_RECVERR = 11
SIZES = [0, 1, 100, 4096, 4097, 9000, 65507]


class Views(zcloop.ZeroCopyDatagramProtocol):
    def __init__(self):
        self.views = asyncio.Queue()
        self.errors = []

    def connection_made(self, transport):
        self.transport = transport

    def datagram_buffer_received(self, view, addr):
        self.views.put_nowait((view, addr))

    def error_received(self, exc):
        self.errors.append(exc)


class Bytes(asyncio.DatagramProtocol):
    def __init__(self):
        self.views = asyncio.Queue()

    def datagram_received(self, data, addr):
        self.views.put_nowait((memoryview(bytearray(data)), addr))


class Open:
    """An endpoint of the protocol and a connected raw socket."""

    def __init__(self, factory, family=socket.AF_INET):
        self.factory = factory
        self.family = family

    async def __aenter__(self):
        loop = asyncio.get_running_loop()
        if self.family == socket.AF_UNIX:
            ours, self.peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.transport, protocol = await loop.create_datagram_endpoint(self.factory, sock=ours)
        else:
            self.transport, protocol = await loop.create_datagram_endpoint(
                self.factory, ("127.0.0.1", 0)
            )
            self.peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.peer.connect(self.transport.get_extra_info("sockname"))
        self.peer.setblocking(False)
        return self.transport, protocol, self.peer

    async def __aexit__(self, *exception):
        self.transport.close()
        self.peer.close()
        await all_closed()


async def all_closed():
    """Return when no transport of the loop is open any more."""
    loop = asyncio.get_running_loop()
    await until(lambda: not loop.statistics()["transports"])


def address_of(view):
    return ctypes.addressof(ctypes.c_char.from_buffer(view))


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
@pytest.mark.parametrize("copybreak", [0, 4096])
async def test_every_size_arrives_and_is_lent_above_the_copybreak(family, copybreak):
    async with Open(Views, family) as (transport, protocol, peer):
        transport.set_lease_limits(copybreak=copybreak)
        for size in SIZES:
            data = payload(size, size)
            peer.send(data)
            view, _ = await protocol.views.get()
            assert view == data
            view.release()
        found = transport.lease_statistics()
        assert found["lent_bytes"] == sum(size for size in SIZES if size > copybreak)
        assert found["copied_bytes"] == sum(size for size in SIZES if size <= copybreak)
        assert (found["leases"], found["held"]) == (0, 0)


async def test_a_lent_datagram_is_sent_back_from_where_it_is():
    async with Open(Views) as (transport, protocol, peer):
        for _ in range(3):
            data = payload(9000)
            peer.send(data)
            view, address = await protocol.views.get()
            transport.sendto(view, address)
            view.release()
            assert await asyncio.get_running_loop().sock_recv(peer, 65536) == data
        found = transport.lease_statistics()
        assert (found["copied_bytes"], found["leases"]) == (0, 0)


async def test_a_view_that_is_kept_stays_as_it_was():
    async with Open(Views) as (_, protocol, peer):
        kept = []
        for seed in range(40):  # more than the ring has slots
            peer.send(payload(6000, seed))
            view, _ = await protocol.views.get()
            kept.append(view)
        assert len({address_of(view) for view in kept}) == 40
        for seed, view in enumerate(kept):
            assert view == payload(6000, seed)
            view.release()


async def test_over_its_quota_an_endpoint_is_not_read_from_until_views_are_back():
    async with Open(Views) as (transport, protocol, peer):
        transport.set_lease_limits(quota=16 * 1024)
        held = []
        for seed in range(3):
            peer.send(payload(8000, seed))
            held.append((await protocol.views.get())[0])
        peer.send(b"waits")
        loop = asyncio.get_running_loop()
        await until(lambda: loop.statistics()["paused_holders"] == 1)
        await io_passed()
        assert protocol.views.empty()
        for view in held:
            view.release()
        view, _ = await protocol.views.get()
        assert view == b"waits"
        view.release()


async def test_what_was_held_goes_to_the_protocol_of_the_resumption():
    async with Open(Views) as (transport, protocol, peer):
        transport.pause_reading()
        peer.send(payload(5000))
        await io_passed()
        other = Bytes()
        transport.set_protocol(other)
        transport.resume_reading()
        assert (await other.views.get())[0] == payload(5000)
        transport.set_protocol(protocol)
        peer.send(payload(5001))
        view, _ = await protocol.views.get()
        assert view == payload(5001)
        view.release()


# ---- only the newest -----------------------------------------------------------------------------


@pytest.mark.parametrize("factory", [Views, Bytes])
async def test_the_newest_win_while_python_is_busy(factory):
    async with Open(factory) as (transport, protocol, peer):
        transport.set_receive_policy("latest", depth=4)
        for number in range(100):
            peer.send(b"%d" % number)
            if number % 10 == 9:
                time.sleep(0.02)  # busy: no turn, but the thread drains
        got = []
        while len(got) < 4:
            view, _ = await protocol.views.get()
            got.append(int(bytes(view)))
            view.release()
        assert got == [96, 97, 98, 99]
        assert transport.dropped == 96
        peer.send(b"later")
        view, _ = await protocol.views.get()
        assert view == b"later"
        view.release()


async def test_large_newest_datagrams_are_lent():
    async with Open(Views) as (transport, protocol, peer):
        transport.set_receive_policy("latest", depth=2)
        kept = []
        for seed in range(10):
            peer.send(payload(20_000, seed))
            kept.append((await protocol.views.get())[0])
        for seed, view in enumerate(kept):
            assert view == payload(20_000, seed)
            view.release()
        assert transport.lease_statistics()["lent_bytes"] == 200_000


async def test_the_policy_may_change_back_and_forth():
    async with Open(Views) as (transport, protocol, peer):
        for policy in ("latest", "all", "latest", "latest", "all"):
            transport.set_receive_policy(policy, depth=3)
            peer.send(policy.encode())
            view, _ = await protocol.views.get()
            assert view == policy.encode()
            view.release()


async def test_paused_the_newest_are_kept():
    async with Open(Views) as (transport, protocol, peer):
        transport.set_receive_policy("latest", depth=2)
        transport.pause_reading()
        for number in range(20):
            peer.send(b"%d" % number)
        time.sleep(0.05)
        await asyncio.sleep(0.01)
        assert protocol.views.empty()
        transport.resume_reading()
        got = [bytes((await protocol.views.get())[0]) for _ in range(2)]
        assert got == [b"18", b"19"]


async def test_the_next_owner_of_a_closed_number_keeps_its_datagrams():
    loop = asyncio.get_running_loop()
    given = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    given.bind(("127.0.0.1", 0))
    transport, _ = await loop.create_datagram_endpoint(Views, sock=given)
    transport.set_receive_policy("latest", depth=2)
    number = given.fileno()
    given.close()
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        assert stranger.fileno() == number
        stranger.bind(("127.0.0.1", 0))
        sender.sendto(b"for the stranger", stranger.getsockname())
        # A thread that still reads from the number would have taken it in this time.
        await asyncio.sleep(0.02)
        assert stranger.recv(100, socket.MSG_DONTWAIT) == b"for the stranger"
        transport.abort()
        await all_closed()
        assert stranger.fileno() == number


async def test_a_refusal_reaches_the_protocol_under_the_policy():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = nobody.getsockname()
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(Views, remote_addr=address)
    transport.set_receive_policy("latest")
    transport.sendto(b"anybody there?")
    await until(lambda: protocol.errors)
    assert isinstance(protocol.errors[0], ConnectionRefusedError)
    transport.close()
    await all_closed()


@pytest.mark.parametrize(("policy", "depth"), [("newest", 1), ("latest", 0), ("latest", 1025)])
async def test_a_policy_that_is_none_is_a_value_error(policy, depth):
    async with Open(Views) as (transport, protocol, peer):
        with pytest.raises(ValueError, match=r"policy|depth"):
            transport.set_receive_policy(policy, depth=depth)
        peer.send(b"goes on")
        view, _ = await protocol.views.get()
        assert view == b"goes on"


# ---- segments ------------------------------------------------------------------------------------

MIXED = [*[1400] * 100, 700, *[1400] * 3, *[50] * 70, 0, 1, 2, 3, 9000, 9000, 65507, 1]


@pytest.mark.parametrize("factory", [Views, Bytes])
@pytest.mark.parametrize(
    "is_segmented", [False, pytest.param(True, marks=pytest.mark.needs("segments_on_loopback"))]
)
async def test_many_datagrams_arrive_one_by_one_and_in_order(factory, is_segmented):
    loop = asyncio.get_running_loop()
    async with Open(factory) as (transport, protocol, _):
        transport.set_segmented_receive(is_segmented)
        sender, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=transport.get_extra_info("sockname")
        )
        data = [payload(size, seed) for seed, size in enumerate(MIXED)]
        before = loop.statistics()["completions"]
        for start in range(0, len(data), 20):
            sender.sendto_many(data[start : start + 20])
            for expected in data[start : start + 20]:
                view, address = await protocol.views.get()
                assert view == expected
                assert address == sender.get_extra_info("sockname")
                view.release()
        if is_segmented:
            assert loop.statistics()["completions"] - before < len(MIXED) // 4
        sender.close()


async def test_many_go_to_an_address_and_from_leases():
    loop = asyncio.get_running_loop()
    async with Open(Views) as (transport, protocol, _):
        sender, _ = await loop.create_datagram_endpoint(Bytes, ("127.0.0.1", 0))
        leases = [sender.reserve(1000) for _ in range(10)]
        for index, lease in enumerate(leases):
            lease[:] = bytes([index]) * 1000
        sender.sendto_many(leases, transport.get_extra_info("sockname"))
        for lease in leases:
            lease.release()
        for index in range(10):
            view, _ = await protocol.views.get()
            assert view == bytes([index]) * 1000
        sender.close()


async def test_leases_that_are_seen_as_words_keep_their_boundaries():
    loop = asyncio.get_running_loop()
    async with Open(Views) as (transport, protocol, _):
        sender, _ = await loop.create_datagram_endpoint(Bytes, ("127.0.0.1", 0))
        with sender.reserve(4000) as lease:
            lease[:] = payload(4000)
            words = lease.cast("I")
            sender.sendto_many(
                [words[:500], words[500:], lease[:7]], transport.get_extra_info("sockname")
            )
            words.release()
        for expected in (payload(4000)[:2000], payload(4000)[2000:], payload(4000)[:7]):
            view, _ = await protocol.views.get()
            assert view == expected
        assert sender.lease_statistics()["sent_bytes"] == 4007
        sender.close()


async def test_segmented_receive_ends_where_the_kernel_has_no_multishot_form():
    loop = asyncio.get_running_loop()
    async with Open(Bytes) as (transport, protocol, _):
        transport.set_segmented_receive(True)
        transport.pause_reading()
        await io_passed()
        loop.channel.has_multishot_message = False
        transport.resume_reading()
        sender, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=transport.get_extra_info("sockname")
        )
        sender.sendto_many([bytes([index]) * 1000 for index in range(10)])
        for index in range(10):
            view, _ = await protocol.views.get()
            assert view == bytes([index]) * 1000
        sender.close()


async def test_what_is_no_buffer_is_refused_before_anything_is_sent():
    async with Open(Views) as (transport, _protocol, peer):
        with pytest.raises(TypeError, match="bytes-like"):
            transport.sendto_many([b"one", "two"], peer.getsockname())
        with pytest.raises(BlockingIOError):
            peer.recv(10)


async def test_segmented_receive_and_latest_exclude_each_other():
    async with Open(Views) as (transport, _protocol, _peer):
        transport.set_segmented_receive(True)
        with pytest.raises(ValueError, match="segmented"):
            transport.set_receive_policy("latest")
        transport.set_segmented_receive(False)
        transport.set_receive_policy("latest")
        with pytest.raises(ValueError, match="latest"):
            transport.set_segmented_receive(True)


async def test_errors_that_nobody_reads_do_not_keep_the_thread_of_the_newest_busy():
    async with Open(Views) as (transport, protocol, peer):
        ours = transport.get_extra_info("socket")
        ours.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        transport.set_receive_policy("latest", depth=2)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
            nobody.bind(("127.0.0.1", 0))
            name = nobody.getsockname()
        transport.sendto(b"into the void", name)
        await asyncio.sleep(0.1)
        before = time.process_time()
        time.sleep(0.5)
        assert time.process_time() - before < 0.1
        peer.send(payload(5000))
        view, _ = await protocol.views.get()
        assert view == payload(5000)
        view.release()
