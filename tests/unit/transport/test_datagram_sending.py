"""What leaves, and what does not."""

import contextlib

import pytest
from datagrams import arrived, endpoint, nothing_more, receiver
from peers import io_passed


async def test_a_datagram_sent_before_an_abort_in_the_same_turn_leaves():
    with receiver() as peer:
        async with endpoint(local_addr=("127.0.0.1", 0)) as (transport, _):
            transport.sendto(b"bye", peer.getsockname())
            transport.abort()
            assert await arrived(peer, 1) == [b"bye"]


@pytest.mark.parametrize("host", ["127.0.0.1\0x", "\udc80"])
async def test_what_is_no_host_is_sent_nowhere(host, reported):
    with receiver() as peer:
        async with endpoint(local_addr=("127.0.0.1", 0)) as (transport, _):
            with contextlib.suppress(UnicodeError):
                transport.sendto(b"data", (host, peer.getsockname()[1]))
            transport.sendto(b"after", peer.getsockname())
            await io_passed()
            assert transport.is_closing() or await arrived(peer, 1) == [b"after"]
            nothing_more(peer)
    reported.clear()
