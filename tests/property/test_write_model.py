"""Any sequence of writes, pauses and turns against what a pipe of bytes would do."""

import asyncio
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from peers import payload, unix_pair
from recording import Recorder

import zcloop

pytestmark = [pytest.mark.zcloop_only, pytest.mark.seconds(60)]

SIZES = st.sampled_from([1, 10, 1000, 4095, 4096, 5000, 20_000, 100_000, 400_000])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["write", "write bytearray", "send"]), SIZES),
        st.tuples(st.just("writelines"), st.lists(SIZES, max_size=5)),
        st.tuples(st.just("read"), SIZES),
        st.tuples(st.sampled_from(["pause", "resume", "turn", "wait"]), st.none()),
        st.tuples(st.just("limits"), st.sampled_from([0, 1, 1000, 65536])),
    ),
    max_size=40,
)


async def play(steps):
    """Both directions of a connection, whatever the program does, carry all bytes in order."""
    loop = asyncio.get_running_loop()
    written, sent, seen = bytearray(), bytearray(), bytearray()
    with unix_pair() as (ours, peer):
        transport, protocol = await loop.create_connection(Recorder, sock=ours)
        for number, (step, argument) in enumerate(steps):
            if step in ("write", "write bytearray"):
                data = payload(argument, number)
                transport.write(bytearray(data) if step == "write bytearray" else data)
                written += data
            elif step == "writelines":
                pieces = [payload(size, number) for size in argument]
                transport.writelines(pieces)
                written += b"".join(pieces)
            elif step == "send":
                with contextlib.suppress(BlockingIOError):
                    data = payload(argument, number)
                    sent += data[: peer.send(data)]
            elif step == "read":
                with contextlib.suppress(BlockingIOError):
                    seen += peer.recv(argument)
            elif step == "pause":
                transport.pause_reading()
                held = len(protocol.data)
            elif step == "resume":
                transport.resume_reading()
            elif step == "limits":
                transport.set_write_buffer_limits(high=argument)
            else:
                await asyncio.sleep(0 if step == "turn" else 0.0001)
            if not transport.is_reading():
                assert len(protocol.data) == held
            waiting = transport.get_write_buffer_size()
            assert 0 <= waiting <= len(written) - len(seen)
        transport.resume_reading()
        assert await protocol.received(len(sent)) == sent
        transport.write_eof()
        while piece := await loop.sock_recv(peer, 1 << 20):
            seen += piece
        assert seen == written
        names = [name for name in protocol.names if name.endswith("_writing")]
        assert names == ["pause_writing", "resume_writing"] * (len(names) // 2)
        transport.close()
        assert await protocol.lost() is None


@given(STEPS)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_both_directions_carry_all_bytes_in_order(steps):
    zcloop.run(play(steps))
