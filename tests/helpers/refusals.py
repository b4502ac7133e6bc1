"""Makes the kernel answer zcloop's system calls as an older one would.

zcloop calls liburing through one table of functions. The `enter` of `refusing` puts a flag that
no kernel knows into each new SQE of a refused form, so that the kernel itself answers -EINVAL.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
from collections.abc import Collection, Iterator
from typing import Any

from zcloop._native.channel import channel
from zcloop._native.ring import liburing

FORMS = ("multishot_receive", "multishot_message")
# For each form its opcode, and the flag of `ioprio` that asks for it.
_SQES = {
    "multishot_receive": (27, 2),
    "multishot_message": (10, 2),
    "futex_wait": (51, 0),
}
_UNKNOWN_FLAG = 0x8000
_SQE_SIZE = 64
ASYNC_CANCEL = 14
REGISTER_PROBE = 8
REGISTER_BUFFERS = 15  # IORING_REGISTER_BUFFERS2
REGISTER_BUFFER_RING = 22

_int, _unsigned, _void = ctypes.c_int, ctypes.c_uint, ctypes.c_void_p
_Init = ctypes.CFUNCTYPE(_int, _unsigned, _void, _void)
_Exit = ctypes.CFUNCTYPE(None, _void)
_Enter = ctypes.CFUNCTYPE(_int, _unsigned, _unsigned, _unsigned, _unsigned, _void, ctypes.c_size_t)
_Register = ctypes.CFUNCTYPE(_int, _unsigned, _unsigned, _void, _unsigned)


class _Functions(ctypes.Structure):
    """The fields of struct Functions in liburing.pxd that a test may replace."""

    _fields_ = (("init", _Init), ("exit", _Exit), ("enter", _Enter), ("register", _Register))


def _table() -> _Functions:
    capsule = liburing.__pyx_capi__["liburing"]
    name = ctypes.pythonapi.PyCapsule_GetName
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    name.restype, name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer.restype, pointer.argtypes = _void, [ctypes.py_object, ctypes.c_char_p]
    return _Functions.from_address(pointer(capsule, name(capsule)))


def _spoil(sqes: Any, forms: Collection[str], is_shortened: bool) -> int:
    """Change SQEs of these forms so that the kernel does not know them, or completes them once.
    Return how many there were."""
    count = 0
    refused = {_SQES[form] for form in forms}
    for start in range(0, len(sqes), _SQE_SIZE):
        asked = sqes[start + 2] | sqes[start + 3] << 8
        if not asked & _UNKNOWN_FLAG and (sqes[start], asked & 3) in refused:
            if is_shortened:
                sqes[start + 2] &= ~(asked & 3)
            else:
                sqes[start + 3] |= _UNKNOWN_FLAG >> 8
            count += 1
    return count


def _miss(sqes: Any) -> int:
    """Make cancels of one request look for another one. Return how many there were."""
    count = 0
    for start in range(0, len(sqes), _SQE_SIZE):
        # A cancel of everything has other flags, and asks for no request.
        if sqes[start] == ASYNC_CANCEL and any(sqes[start + 16 : start + 24]):
            sqes[start + 16 : start + 24] = bytes(8)
            count += 1
    return count


def _raise(error: BaseException) -> None:
    raise error


@contextlib.contextmanager
def failing(name: str, number: int, opcode: int | None = None, times: int = -1) -> Iterator[None]:
    """`init`, `enter` or `register` (of an opcode, if given) answers with this errno instead of
    asking the kernel: the first `times`, or always."""
    table = _table()
    original = getattr(table, name)
    kind = type(original)
    function = kind.from_buffer_copy(_void(ctypes.cast(original, _void).value))
    left = times

    def answer(*arguments: Any) -> int:
        nonlocal left
        if left and opcode in (None, arguments[1]):
            left -= 1
            return -number
        return int(function(*arguments))

    ours = kind(answer)
    setattr(table, name, ours)
    try:
        yield
    finally:
        setattr(table, name, function)


@contextlib.contextmanager
def refusing(
    forms: Collection[str],
    buffer_rings: bool = False,
    is_shortened: bool = False,
    missed_cancels: int = 0,
) -> Iterator[list[int]]:
    """What every ring made meanwhile does not know, or ends after one completion, as a kernel may
    at any time; and how many cancels find nothing, as when a request is between its poll and a
    worker. The list gets the number of requests each time."""
    table = _table()
    original = tuple(getattr(table, name) for name, _ in table._fields_)
    init, exit_, enter, register = (
        kind.from_buffer_copy(ctypes.c_void_p(ctypes.cast(function, _void).value))
        for (_, kind), function in zip(table._fields_, original, strict=True)
    )
    queues: dict[int, Any] = {}
    refusals: list[int] = []

    def made(entries: int, ring: int, params: int) -> int:
        got: int = init(entries, ring, params)
        if got == 0:
            # struct io_uring begins with seven pointers of the submission queue, then `sqes`.
            sqes = _void.from_address(ring + 7 * ctypes.sizeof(_void)).value
            queues[ring] = (ctypes.c_ubyte * (entries * _SQE_SIZE)).from_address(sqes or 0)
        return got

    def gone(ring: int) -> None:
        queues.pop(ring, None)  # it may have been made before
        exit_(ring)

    def entered(fd: int, submit: int, wait: int, flags: int, argument: int, size: int) -> int:
        try:
            if submit:
                count = sum(_spoil(sqes, forms, is_shortened) for sqes in queues.values())
                if sum(refusals) < missed_cancels:
                    count += sum(map(_miss, queues.values()))
                if count:
                    refusals.append(count)
            return int(enter(fd, submit, wait, flags, argument, size))
        except BaseException as error:  # of a signal handler: what called us is not Python
            asyncio.get_running_loop().call_soon(_raise, error)
            return -errno.EINTR

    def registered(fd: int, opcode: int, argument: int, count: int) -> int:
        if buffer_rings and opcode == REGISTER_BUFFER_RING:
            return -errno.EINVAL
        return int(register(fd, opcode, argument, count))

    ours = _Init(made), _Exit(gone), _Enter(entered), _Register(registered)
    for (name, _), function in zip(table._fields_, ours, strict=True):
        setattr(table, name, function)
    try:
        yield refusals
    finally:
        for (name, _), function in zip(table._fields_, (init, exit_, enter, register), strict=True):
            setattr(table, name, function)


@contextlib.contextmanager
def short_of_memory(takes: int) -> Iterator[None]:
    """Let the kernel take so many requests, and no more."""
    table = _table()
    enter = _Enter.from_buffer_copy(ctypes.c_void_p(ctypes.cast(table.enter, _void).value))
    left = takes

    def entered(fd: int, submit: int, wait: int, flags: int, argument: int, size: int) -> int:
        nonlocal left
        if not submit:
            return int(enter(fd, submit, wait, flags, argument, size))
        if left == 0:
            return -errno.EAGAIN
        taken = min(submit, left)
        left -= taken
        return int(enter(fd, taken, wait, flags, argument, size))

    table.enter = _Enter(entered)
    try:
        yield
    finally:
        table.enter = enter


@contextlib.contextmanager
def futex_kernel(name: str) -> Iterator[None]:
    """Who waits for futexes of the channels made meanwhile: with "ring" the kernel, else threads.
    Their channel is "told" from the start, learns it when it has "asked" the kernel, or is
    "refused" the request (by no real kernel, since each says what it has)."""
    with contextlib.ExitStack() as stack:
        if name == "told":
            without = channel._WITHOUT  # type: ignore[attr-defined]
            channel._WITHOUT = [*without, "futex_wait"]  # type: ignore[attr-defined]
            stack.callback(setattr, channel, "_WITHOUT", without)
        elif name == "asked":
            stack.enter_context(failing("register", errno.EINVAL, REGISTER_PROBE))
        elif name == "refused":
            stack.enter_context(refusing(["futex_wait"]))
        yield
