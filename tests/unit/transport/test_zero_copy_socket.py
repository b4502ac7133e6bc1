"""ZeroCopySocket: receiving into a region and sending from it, with no loop."""

import socket
import threading

import pytest
from peers import fill, payload

import zcloop

pytestmark = pytest.mark.zcloop_only


@pytest.fixture
def region():
    with zcloop.Region(1 << 20) as region:
        yield region
        assert region.free_bytes == region.size, "a block is still out"


@pytest.fixture
def pair(region):
    one, other = socket.socketpair()
    with zcloop.ZeroCopySocket(one, region) as ours, other:
        one.settimeout(10)
        yield ours, other


def test_recv_gives_exactly_what_came_in_region_memory(pair, region):
    ours, peer = pair
    peer.send(b"x" * 3000)
    with ours.recv() as view:
        assert view == b"x" * 3000 and not view.readonly
        (lease,) = region.leases()
        assert (lease["size"], lease["owner"]) == (3000, "ZeroCopySocket")
        assert region.size - region.free_bytes == 4096


def test_recv_takes_no_more_than_its_size(pair):
    ours, peer = pair
    peer.send(b"abcdef")
    with ours.recv(4) as first, ours.recv(4) as second:
        assert (bytes(first), bytes(second)) == (b"abcd", b"ef")


def test_recv_is_empty_at_the_end_of_file(pair, region):
    ours, peer = pair
    peer.close()
    assert ours.recv().nbytes == 0
    assert region.free_bytes == region.size


def test_what_was_received_is_sent_on_without_a_copy(pair, region):
    ours, peer = pair
    peer.send(b"forwarded")
    with ours.recv() as view:
        assert ours.send(view) == 9
    assert peer.recv(100) == b"forwarded"
    assert region.free_bytes == region.size


def test_sendall_sends_a_reservation_whole(pair):
    ours, peer = pair
    data = payload(600_000)
    received = bytearray()

    def drain():
        while len(received) < len(data):
            received.extend(peer.recv(65536))

    thread = threading.Thread(target=drain)
    thread.start()
    with ours.reserve(len(data)) as view:
        view[:] = data
        ours.sendall(view)
    thread.join()
    assert received == data


def test_a_slice_of_a_view_is_sent(pair):
    ours, peer = pair
    with ours.reserve(10) as view:
        view[:] = b"0123456789"
        with view[3:6] as part:
            assert ours.send(part) == 3
    assert peer.recv(100) == b"345"


def test_what_is_not_region_memory_is_refused(pair):
    ours, _ = pair
    for send in (ours.send, ours.sendall):
        with pytest.raises(ValueError, match="reserve"):
            send(memoryview(b"elsewhere"))
        with pytest.raises(TypeError, match="'bytes'"):
            send(b"elsewhere")


def test_a_released_view_is_refused(pair):
    ours, _ = pair
    view = ours.reserve(10)
    view.release()
    with pytest.raises(ValueError, match="released"):
        ours.send(view)


def test_a_view_of_another_region_is_sent(pair):
    ours, peer = pair
    with zcloop.Region(4096) as other, other.reserve(1) as view:
        view[:] = b"x"
        assert ours.send(view) == 1
    assert peer.recv(1) == b"x"


def test_a_socket_that_does_not_block_says_so_and_takes_no_memory(region):
    one, other = socket.socketpair()
    with zcloop.ZeroCopySocket(one, region) as ours, other:
        one.setblocking(False)
        with pytest.raises(BlockingIOError):
            ours.recv()
        assert region.free_bytes == region.size
        other.send(b"later")
        with ours.recv() as view:
            assert view == b"later"
        fill(one)
        with ours.reserve(65536) as view, pytest.raises(BlockingIOError):
            ours.send(view)


def test_a_timeout_is_the_sockets_own_and_takes_no_memory(region):
    one, other = socket.socketpair()
    with zcloop.ZeroCopySocket(one, region) as ours, other:
        one.settimeout(0.001)
        with pytest.raises(TimeoutError):
            ours.recv()
        assert region.free_bytes == region.size


def test_an_exhausted_region_loses_nothing(pair, region):
    ours, peer = pair
    peer.send(b"waits")
    with region.reserve(region.size), pytest.raises(zcloop.RegionExhaustedError):
        ours.recv()
    with ours.recv() as view:
        assert view == b"waits"


@pytest.mark.parametrize("size", [0, -1])
def test_a_size_below_one_is_a_value_error(pair, size):
    ours, _ = pair
    with pytest.raises(ValueError, match="at least one byte"):
        ours.recv(size)


def test_what_was_received_outlives_the_socket_and_holds_the_region(region):
    one, other = socket.socketpair()
    with zcloop.ZeroCopySocket(one, region) as ours, other:
        other.send(b"kept")
        view = ours.recv()
    assert ours.fileno() == -1 and one.fileno() == -1
    ours.close()
    assert view == b"kept"
    with pytest.raises(BufferError, match="ZeroCopySocket"):
        region.close()
    view.release()


def test_a_closed_region_is_a_value_error(region):
    one, other = socket.socketpair()
    region.close()
    with (
        zcloop.ZeroCopySocket(one, region) as ours,
        other,
        pytest.raises(ValueError, match="closed"),
    ):
        ours.recv()
