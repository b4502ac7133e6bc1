"""What System V's queues and semaphore sets share: keys, identifiers, waiting, errors."""

from __future__ import annotations

import errno
import os
from typing import Any, NoReturn

from zcloop._closed_on_exit import ClosedOnExit
from zcloop._native.ipc import sysv_messages
from zcloop._native.ipc.blocking_call import BlockingCall
from zcloop.message_queues._waiters import Waiters

IPC_PRIVATE = 0  # the key that is none
# A key_t is a signed int; programs often write it as an unsigned number.
KEY_MIN, KEY_MAX = -(1 << 31), (1 << 32) - 1
# What the kernel says of an identifier that was removed: while one waits, and afterwards.
GONE = (errno.EIDRM, errno.EINVAL)


def ftok(path: str | bytes | os.PathLike[str] | os.PathLike[bytes], number: int) -> int:
    """A key made of an existing file and a number: programs that name both get the same key.

    ValueError for a number that is not from 1 to 255, OSError for a file that is not there.
    """
    if not 1 <= number <= 255:
        raise ValueError(f"number {number}: 1 to 255 (ftok uses 8 bits, and 0 is not defined)")
    try:
        return sysv_messages.ftok(os.fsencode(path), number)
    except OSError as error:
        raise OSError(error.errno, os.strerror(error.errno or 0), path) from None


def checked_key(key: int | None) -> int:
    """The key as the kernel takes it; None is IPC_PRIVATE."""
    if key is None:
        return IPC_PRIVATE
    if key == IPC_PRIVATE or not KEY_MIN <= key <= KEY_MAX:
        raise ValueError(f"key {key}: 32 bits, and not 0; None makes a private object")
    return key - (1 << 32) if key > 0x7FFFFFFF else key


class SysvObject(ClosedOnExit):
    """An identifier of the kernel's, which stays until `remove`, whoever closes it or ends."""

    noun = "object"

    def __init__(self, identifier: int) -> None:
        self.id = identifier
        self.closed = False
        self._waiters = Waiters(repr(self))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} id={self.id}{' closed' if self.closed else ''}>"

    def close(self) -> None:
        """End the waits of this object's coroutines with OSError (EBADF). Idempotent.

        Nothing is removed, and a blocking call in another thread goes on.
        """
        self.closed = True
        self._waiters.end()

    async def _perform(self, operation: BlockingCall) -> Any:
        """The outcome, or -errno. If this is cancelled, the call is over when it raises."""
        try:
            return await self._waiters.perform(operation)
        except BaseException:
            operation.withdraw()
            raise

    def _check_open(self) -> None:
        if self.closed:
            self._fail(errno.EBADF)

    def _fail(self, number: int) -> NoReturn:
        name = f"{self.noun} {self.id}"
        if self.closed:
            raise OSError(errno.EBADF, f"{name} was closed here")
        if number in GONE:
            raise OSError(errno.EIDRM, f"{name} is gone: it was removed")
        if number == errno.ETIMEDOUT:
            raise TimeoutError(number, f"{name}: {os.strerror(number)}")
        if number == errno.ENOMEM:
            raise OSError(
                number, f"{name}: no thread to wait in, or no memory (ulimit -u, pids.max)"
            )
        raise OSError(number, f"{os.strerror(number)}: {name}")

    def _getting_error(self, error: OSError, key: int | None, hint: str) -> OSError:
        """What msgget's or semget's errno means, and what to type."""
        number = error.errno or 0
        shown = "a private key" if key is None else f"key {checked_key(key) & 0xFFFFFFFF:#010x}"
        reason = os.strerror(number)
        if number == errno.ENOENT:
            reason = f"there is no {self.noun} with this key: create=True makes it"
        elif number == errno.ENOSPC:
            reason = hint
        return OSError(number, f"{reason}: {shown}")
