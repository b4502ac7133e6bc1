"""The three system calls of io_uring, by number, without liburing: what they answer is evidence."""

from __future__ import annotations

import ctypes
import errno
import os

# The same on every architecture that zcloop is built for.
_SETUP, _ENTER, _REGISTER = 425, 426, 427

PARAMS_SIZE = 120
"""Bytes of struct io_uring_params."""


class SystemCalls:
    """Each returns a count or a descriptor, or an errno as a negative number. Raises nothing."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.syscall.restype = ctypes.c_long

    def _call(self, number: int, *arguments: int | ctypes.Array[ctypes.c_char] | None) -> int:
        passed = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
        got = int(self._libc.syscall(ctypes.c_long(number), *passed))
        return -ctypes.get_errno() if got < 0 else got

    def setup(self, entries: int, params: ctypes.Array[ctypes.c_char]) -> int:
        """`params` has PARAMS_SIZE bytes, and the kernel's answer when this returns."""
        return self._call(_SETUP, entries, params)

    def enter(
        self,
        fd: int,
        submit: int,
        wait: int,
        flags: int = 0,
        argument: ctypes.Array[ctypes.c_char] | None = None,
    ) -> int:
        """`argument` is a struct io_uring_getevents_arg, for which `flags` has EXT_ARG."""
        size = 0 if argument is None else ctypes.sizeof(argument)
        return self._call(_ENTER, fd, submit, wait, flags, argument, size)

    def register(
        self, fd: int, opcode: int, argument: ctypes.Array[ctypes.c_char] | None, count: int
    ) -> int:
        """What `count` counts is the opcode's: entries, or the bytes of `argument`."""
        return self._call(_REGISTER, fd, opcode, argument, count)


def name_of(answer: int) -> str:
    """`OK`, or the errno's name: EPERM for -1."""
    if answer == -errno.EOPNOTSUPP:  # Python calls it by its other name, ENOTSUP
        return "EOPNOTSUPP"
    return "OK" if answer >= 0 else errno.errorcode.get(-answer, os.strerror(-answer))
