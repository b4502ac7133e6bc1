"""A socket that refuses a form of receive that others take."""

import asyncio

import pytest
from datagrams import endpoint, receiver
from peers import LOOP_NAME
from refusals import refusing

import zcloop

pytestmark = pytest.mark.skipif(
    not LOOP_NAME.startswith("zcloop"), reason="only zcloop asks for the multishot form"
)


@pytest.mark.needs("uring")
def test_the_refusal_of_one_socket_costs_others_no_feature():
    async def main():
        loop = asyncio.get_running_loop()
        with receiver() as peer:
            async with endpoint(local_addr=("127.0.0.1", 0)) as (first, first_protocol):
                peer.sendto(b"one", first.get_extra_info("sockname"))
                assert await first_protocol.received(1) == [b"one"]
                refused.add("multishot_message")
                async with endpoint(local_addr=("127.0.0.1", 0)) as (second, protocol):
                    for number in range(3):
                        peer.sendto(b"%d" % number, second.get_extra_info("sockname"))
                    assert await protocol.received(3) == [b"0", b"1", b"2"]
                    assert protocol.errors == []
                refused.clear()
                assert loop.channel.has_multishot_message
                peer.sendto(b"two", first.get_extra_info("sockname"))
                assert await first_protocol.received(2) == [b"one", b"two"]

    refused = set()
    with refusing(refused) as refusals:
        loop = zcloop.new_event_loop()
        try:
            loop.run_until_complete(main())
        finally:
            loop.close()
    assert refusals
