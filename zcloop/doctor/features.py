"""What zcloop uses where the kernel has it. Each feature is tried on its own ring or socket."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from zcloop.doctor.probe_ring import (
    FEAT_MIN_TIMEOUT,
    SETUP_DEFER_TASKRUN,
    SETUP_SINGLE_ISSUER,
    ProbeRing,
    RefusedError,
    address_of,
    request,
)
from zcloop.doctor.system_calls import SystemCalls, name_of

# The numbers of <linux/io_uring.h>, <linux/udp.h> and <linux/futex.h>, by their names there.
_OP_RECVMSG, _OP_RECV, _OP_URING_CMD, _OP_SEND_ZC, _OP_FUTEX_WAIT = 10, 27, 46, 47, 51
_RECEIVE_MULTISHOT = 1 << 1
_SEND_ZC_REPORT_USAGE = 1 << 3
_BUFFER_SELECT = 1 << 5
_CQE_BUFFER, _CQE_MORE = 1 << 0, 1 << 1
_REGISTER_BUFFERS2, _REGISTER_BUFFERS_UPDATE, _REGISTER_PBUF_RING = 15, 16, 22
_RSRC_REGISTER_SPARSE = 1
_SOCKET_URING_OP_SETSOCKOPT = 3
_UDP_SEGMENT = 103
_FUTEX2_SIZE_U32 = 2
# The buffer ring of a probe.
_GROUP = 1


@dataclass(frozen=True)
class Outcome:
    """Whether the feature is there, what was seen, and the kernel's answer (0, or -errno)."""

    is_available: bool
    evidence: str
    answer: int = 0


@dataclass(frozen=True)
class Feature:
    """One line of the table."""

    name: str
    since: str
    what: str
    without: str
    probe: Callable[[ProbeRing], Outcome] | None
    """None: it needs no ring."""


@dataclass(frozen=True)
class Found:
    """A feature, and whether it is there."""

    feature: Feature
    outcome: Outcome


def find(calls: SystemCalls, has_ring: bool) -> list[Found]:
    """Try each feature. If no ring can be had, those that need one count as missing, untried."""
    found = []
    for feature in FEATURES:
        if feature.probe is None:
            outcome = _segmented_send()
        elif not has_ring:
            outcome = Outcome(False, "not tried: io_uring cannot be had")
        else:
            outcome = _on_a_ring(calls, feature.probe)
        found.append(Found(feature, outcome))
    return found


def _on_a_ring(calls: SystemCalls, probe: Callable[[ProbeRing], Outcome]) -> Outcome:
    """Try it on a new ring: what the probe leaves in flight ends with the ring."""
    for flags in (SETUP_SINGLE_ISSUER | SETUP_DEFER_TASKRUN, 0):
        try:
            with ProbeRing(calls, flags=flags) as ring:
                return probe(ring)
        except RefusedError as refusal:
            if refusal.errno != errno.EINVAL:
                return _answered("making a ring to try it on", -(refusal.errno or 0), False)
        except OSError as error:
            reason = f"could not be tried: {error.strerror or error}"
            return Outcome(False, reason, -(error.errno or 0))
    return _answered("making a ring to try it on", -errno.EINVAL, False)


def _answered(what: str, result: int, is_there: bool) -> Outcome:
    said = name_of(result) if is_there or result < 0 else f"{result}, and not as it should"
    return Outcome(is_there, f"{what} answers {said}", min(result, 0))


def _give_buffer(ring: ProbeRing) -> int:
    """Register a buffer ring with one slot of a page; the kernel's answer is returned."""
    entries = ring.hold(mmap.mmap(-1, mmap.PAGESIZE))
    slot = ring.hold(mmap.mmap(-1, mmap.PAGESIZE))
    struct.pack_into("=QIHH", entries, 0, address_of(slot), mmap.PAGESIZE, 0, 1)  # the tail is 1
    registration = struct.pack("=QIHH24x", address_of(entries), 1, _GROUP, 0)
    return ring.register(_REGISTER_PBUF_RING, registration, 1)


def _multishot_receive(ring: ProbeRing) -> Outcome:
    registered = _give_buffer(ring)
    if registered < 0:
        return _answered("registering a buffer ring", registered, False)
    with _pair(socket.SOCK_STREAM) as (receiver, sender):
        sender.send(b"x")
        result, flags = ring.perform(_multishot(_OP_RECV, receiver))
    is_there = result == 1 and flags & _CQE_BUFFER and flags & _CQE_MORE
    return _answered("a multishot receive", result, bool(is_there))


def _multishot_message(ring: ProbeRing) -> Outcome:
    registered = _give_buffer(ring)
    if registered < 0:
        return _answered("registering a buffer ring", registered, False)
    message = ring.hold(ctypes.create_string_buffer(56))  # a struct msghdr that asks for nothing
    with _pair(socket.SOCK_DGRAM) as (receiver, sender):
        sender.send(b"x")
        asked = _multishot(_OP_RECVMSG, receiver, ctypes.addressof(message), 1)
        result, flags = ring.perform(asked)
    is_there = result > 0 and flags & _CQE_BUFFER and flags & _CQE_MORE
    return _answered("a multishot receive of messages", result, bool(is_there))


def _multishot(opcode: int, receiver: socket.socket, address: int = 0, size: int = 0) -> bytes:
    return request(
        opcode,
        receiver.fileno(),
        flags=_BUFFER_SELECT,
        priority=_RECEIVE_MULTISHOT,
        address=address,
        size=size,
        group=_GROUP,
    )


def _send_zero_copy(ring: ProbeRing) -> Outcome:
    payload = ring.hold(ctypes.create_string_buffer(b"x", 1))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("127.0.0.1", 0))
        sender.connect(sender.getsockname())
        asked = request(
            _OP_SEND_ZC,
            sender.fileno(),
            priority=_SEND_ZC_REPORT_USAGE,
            address=ctypes.addressof(payload),
            size=1,
        )
        result, _ = ring.perform(asked)
    return _answered("a zero-copy send to this machine", result, result == 1)


def _futex_wait(ring: ProbeRing) -> Outcome:
    word = ring.hold(ctypes.create_string_buffer(4))
    # The word is 0 and not 1: a kernel that knows the request answers EAGAIN at once.
    asked = request(
        _OP_FUTEX_WAIT,
        _FUTEX2_SIZE_U32,
        address=ctypes.addressof(word),
        offset=1,
        third=0xFFFFFFFF,
    )
    result, _ = ring.perform(asked)
    return _answered("a futex wait for another value", result, result == -errno.EAGAIN)


def _push(ring: ProbeRing) -> Outcome:
    value = ring.hold(ctypes.create_string_buffer(struct.pack("=i", 0), 4))
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sqe = bytearray(request(_OP_URING_CMD, sock.fileno(), offset=_SOCKET_URING_OP_SETSOCKOPT))
        # level, name and size are in fields of other requests; so is the value's address.
        struct.pack_into("=II", sqe, 16, socket.IPPROTO_TCP, socket.TCP_CORK)
        struct.pack_into("=IQ", sqe, 44, 4, ctypes.addressof(value))
        result, _ = ring.perform(bytes(sqe))
    return _answered("setsockopt(TCP_CORK) as a request", result, result == 0)


def _minimal_wait(ring: ProbeRing) -> Outcome:
    if not ring.features & FEAT_MIN_TIMEOUT:
        return Outcome(False, "the ring's features do not have IORING_FEAT_MIN_TIMEOUT")
    if not ring.flags & SETUP_DEFER_TASKRUN:
        return Outcome(False, "the ring has no deferred work, whose requests it counts")
    return Outcome(True, "the ring's features have IORING_FEAT_MIN_TIMEOUT")


def _registered_buffers(ring: ProbeRing) -> Outcome:
    table = struct.pack("=IIQQQ", 1, _RSRC_REGISTER_SPARSE, 0, 0, 0)
    result = ring.register(_REGISTER_BUFFERS2, table, len(table))
    if result >= 0:
        page = ring.hold(mmap.mmap(-1, mmap.PAGESIZE))
        vector = struct.pack("@PN", address_of(page), mmap.PAGESIZE)
        pointer = ring.hold(ctypes.create_string_buffer(vector, len(vector)))
        update = struct.pack("=IIQQII", 0, 0, ctypes.addressof(pointer), 0, 1, 0)
        result = ring.register(_REGISTER_BUFFERS_UPDATE, update, len(update))
    return _answered("registering a page", result, result >= 0)


def _segmented_send() -> Outcome:
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.IPPROTO_UDP, _UDP_SEGMENT, 1400)
    except OSError as error:
        return _answered("setsockopt(UDP_SEGMENT)", -(error.errno or 0), False)
    return _answered("setsockopt(UDP_SEGMENT)", 0, True)


@contextlib.contextmanager
def _pair(kind: int) -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair(socket.AF_UNIX, kind)
    with one, other:
        yield one, other


# In the order in which the report shows them.
FEATURES = (
    Feature(
        "multishot_receive",
        "6.0",
        "one request receives from a stream until it is cancelled, into slots of a buffer ring "
        "(which are of 5.19)",
        "each receive of a small message is a request or a system call of its own",
        _multishot_receive,
    ),
    Feature(
        "multishot_message",
        "6.0",
        "the same for datagrams",
        "each datagram is received by a system call of its own",
        _multishot_message,
    ),
    Feature(
        "send_zero_copy",
        "6.2",
        "large writes of lent memory to other machines are not copied, and the kernel says so",
        "every write is copied into the kernel",
        _send_zero_copy,
    ),
    Feature(
        "futex_wait",
        "6.7",
        "locks and semaphores in shared memory are waited for on the ring",
        "who waits for a lock or semaphore of zcloop.sync takes another, slower way",
        _futex_wait,
    ),
    Feature(
        "segmented_send",
        "4.18",
        "many datagrams of one size to one address leave in one system call (UDP_SEGMENT)",
        "each datagram of sendto_many takes a system call of its own",
        None,
    ),
    Feature(
        "push",
        "6.7",
        "what small writes of a turn hold back leaves with the turn's one system call",
        "each connection that was written to takes one more system call a turn",
        _push,
    ),
    Feature(
        "minimal_wait",
        "6.12",
        "a flood of datagrams is gathered for some microseconds before the loop wakes",
        "a flood of datagrams wakes the loop more often",
        _minimal_wait,
    ),
    Feature(
        "registered_buffers",
        "5.19",
        "lent memory is pinned once, and sent from without looking up its pages",
        "lent memory is used unpinned: it works, and zero-copy sends cost more",
        _registered_buffers,
    ),
)
