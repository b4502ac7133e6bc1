"""A ring of a few entries, which performs one request at a time. Features are tried on it.

It is made of the system calls and three mappings, apart from the ring of the loop, so that it can
say what is wrong where that one does not work.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import select
import struct
from types import TracebackType
from typing import Any, Self

from zcloop.doctor.system_calls import PARAMS_SIZE, SystemCalls

# The numbers of <linux/io_uring.h>, by their names there.
SETUP_CQSIZE = 1 << 3
SETUP_CLAMP = 1 << 4
SETUP_SUBMIT_ALL = 1 << 7  # since 5.18
SETUP_COOP_TASKRUN = 1 << 8  # since 5.19
SETUP_TASKRUN_FLAG = 1 << 9  # since 5.19
SETUP_SINGLE_ISSUER = 1 << 12  # since 6.0
SETUP_DEFER_TASKRUN = 1 << 13  # since 6.1

FEAT_NODROP = 1 << 1  # since 5.5
FEAT_EXT_ARG = 1 << 8  # since 5.11
FEAT_CQE_SKIP = 1 << 11  # since 5.17
FEAT_MIN_TIMEOUT = 1 << 15  # since 6.12

# More of them, and the sizes of its structures.
_ENTER_GETEVENTS = 1
_ENTER_EXT_ARG = 1 << 3
_OFFSET_SUBMISSIONS, _OFFSET_COMPLETIONS, _OFFSET_SQES = 0, 0x8000000, 0x10000000
_SQE_SIZE, _CQE_SIZE = 64, 16
# If the kernel does not answer a probe in this time, the feature counts as missing.
_ANSWER_SECONDS = 1
# sq_entries, cq_entries, flags, thread cpu, thread idle, features, wq_fd, three reserved; eight
# offsets and an address of the submission queue; the same of the completion queue.
_PARAMS = struct.Struct("=10I8IQ8IQ")
assert _PARAMS.size == PARAMS_SIZE


class RefusedError(OSError):
    """io_uring_setup was refused; `errno` says how."""


class ProbeRing:
    """One ring. Not thread-safe. Raises RefusedError where none can be made."""

    def __init__(
        self, calls: SystemCalls, entries: int = 4, completions: int = 8, flags: int = 0
    ) -> None:
        self._calls = calls
        self._keep: list[Any] = []
        params = ctypes.create_string_buffer(PARAMS_SIZE)
        flags |= SETUP_CQSIZE | SETUP_CLAMP
        _PARAMS.pack_into(params, 0, entries, completions, flags, *[0] * 25)
        self.fd = calls.setup(entries, params)
        if self.fd < 0:
            raise RefusedError(-self.fd, os.strerror(-self.fd))
        answer = _PARAMS.unpack(params.raw)
        self.flags, self.features = answer[2], answer[5]
        self._entries, self._completions = answer[0], answer[1]
        self._sq, self._cq = answer[10:18], answer[19:27]
        self._maps: tuple[mmap.mmap, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the ring; again does nothing. The kernel cancels what is still in flight."""
        for one in self._maps:
            one.close()
        self._maps = ()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def hold(self, memory: Any) -> Any:
        """Hold what the kernel may write to for as long as the ring; returns it."""
        self._keep.append(memory)
        return memory

    def register(self, opcode: int, argument: bytes | None, count: int) -> int:
        """Call SystemCalls.register for this ring."""
        buffer = None if argument is None else ctypes.create_string_buffer(argument, len(argument))
        return self._calls.register(self.fd, opcode, buffer, count)

    def _mapped(self) -> tuple[mmap.mmap, ...]:
        if not self._maps:
            sizes = (
                (_OFFSET_SUBMISSIONS, self._sq[6] + 4 * self._entries),
                (_OFFSET_COMPLETIONS, self._cq[5] + _CQE_SIZE * self._completions),
                (_OFFSET_SQES, _SQE_SIZE * self._entries),
            )
            self._maps = tuple(
                mmap.mmap(self.fd, size, mmap.MAP_SHARED, offset=offset) for offset, size in sizes
            )
        return self._maps

    def perform(self, sqe: bytes) -> tuple[int, int]:
        """Submit one SQE and wait for one completion: its result and its flags.

        A result of -ETIME says that nothing came in a second, and -errno of io_uring_enter is
        given as if it were the request's.
        """
        submissions, completions, sqes = self._mapped()
        sqes[:_SQE_SIZE] = sqe.ljust(_SQE_SIZE, b"\0")
        tail = _word(submissions, self._sq[1])
        mask = _word(submissions, self._sq[2])
        struct.pack_into("=I", submissions, self._sq[6] + 4 * (tail & mask), 0)
        struct.pack_into("=I", submissions, self._sq[1], (tail + 1) & 0xFFFFFFFF)
        got = self._enter()
        head, tail = _word(completions, self._cq[0]), _word(completions, self._cq[1])
        if head == tail:
            return (got if got < 0 else -errno.ETIME), 0
        place = self._cq[5] + _CQE_SIZE * (head & _word(completions, self._cq[2]))
        _, result, flags = struct.unpack_from("=QiI", completions, place)
        struct.pack_into("=I", completions, self._cq[0], (head + 1) & 0xFFFFFFFF)
        return result, flags

    def _enter(self) -> int:
        if not self.features & FEAT_EXT_ARG:  # before Linux 5.11 an enter has no time limit
            got = self._calls.enter(self.fd, 1, 0, 0)
            if got >= 0:
                looks = select.poll()
                looks.register(self.fd, select.POLLIN)
                looks.poll(_ANSWER_SECONDS * 1000)
            return got
        time = self.hold(ctypes.create_string_buffer(struct.pack("=qq", _ANSWER_SECONDS, 0), 16))
        argument = struct.pack("=QIIQ", 0, 0, 0, ctypes.addressof(time))
        buffer = ctypes.create_string_buffer(argument, len(argument))
        flags = _ENTER_GETEVENTS | _ENTER_EXT_ARG
        got = self._calls.enter(self.fd, 1, 1, flags, buffer)
        while got == -errno.EINTR:
            got = self._calls.enter(self.fd, 0, 1, flags, buffer)
        return got


def address_of(memory: mmap.mmap) -> int:
    """Where it is mapped. It must not be closed as long as the address is used."""
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


def _word(memory: mmap.mmap, offset: int) -> int:
    found: int = struct.unpack_from("=I", memory, offset)[0]
    return found


def request(
    opcode: int,
    fd: int = -1,
    *,
    flags: int = 0,
    priority: int = 0,
    address: int = 0,
    size: int = 0,
    offset: int = 0,
    group: int = 0,
    third: int = 0,
) -> bytes:
    """One SQE. `priority` is where receives and sends have flags; `third` is the field addr3."""
    return struct.pack(
        "=BBHiQQIIQHHiQQ",
        opcode, flags, priority, fd, offset, address, size, 0, 0, group, 0, 0, third, 0,
    )  # fmt: skip
