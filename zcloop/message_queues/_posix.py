"""POSIX message queues, awaited on the loop's channel: a queue's descriptor can be polled."""

from __future__ import annotations

import errno
import os
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NoReturn, Self

from zcloop._native.ipc import queue_descriptor
from zcloop._native.ipc.queue_descriptor import QueueDescriptor
from zcloop._native.ipc.receive_queue import ReceiveQueue
from zcloop._native.ipc.send_queue import SendQueue
from zcloop._native.operation.operation import Operation
from zcloop.message_queues._posix_limits import encoded_name, opening_error, wanted_attributes
from zcloop.message_queues._waiters import Waiters

if TYPE_CHECKING:
    from typing_extensions import Buffer

PRIORITY_MAX = 32767
ACCESS = {"r": os.O_RDONLY, "w": os.O_WRONLY, "rw": os.O_RDWR}


class QueueAttributes(NamedTuple):
    """mq_attr: O_NONBLOCK or 0, the limits of the queue, and how many messages it has now."""

    flags: int
    maxmsg: int
    msgsize: int
    curmsgs: int


class PosixQueue:
    """A POSIX message queue: messages are whole, and come by priority, in order within one.

    `name` begins with a slash, and has no other. With `create` the queue is made if it does not
    exist, with room for `maxmsg` messages of up to `msgsize` bytes (the system's defaults) and
    permissions `mode`; `exclusive` makes an existing one a FileExistsError. `access` is "r", "w"
    or "rw". It outlives its processes until `unlink`.

    `await` needs a zcloop loop; a coroutine that is cancelled has taken or sent nothing. The
    try_* and *_blocking methods need none. Thread-safe, usable from several loops and processes,
    and by a forked child. Of several that wait for a message, which gets it is not promised.

    OSError as mq_open fails, saying which limit to raise; ValueError for a bad name or size.
    """

    def __init__(
        self,
        name: str,
        *,
        create: bool = False,
        exclusive: bool = False,
        mode: int = 0o600,
        maxmsg: int | None = None,
        msgsize: int | None = None,
        access: Literal["r", "w", "rw"] = "rw",
    ) -> None:
        if access not in ACCESS:
            raise ValueError(f'access {access!r}: "r", "w" or "rw"')
        encoded = encoded_name(name)
        wanted = wanted_attributes(maxmsg, msgsize)
        flags = (os.O_CREAT if create else 0) | (os.O_EXCL if exclusive else 0)
        self.name = name
        try:
            self._descriptor = QueueDescriptor(encoded, flags | ACCESS[access], mode, *wanted)
        except OSError as error:
            raise opening_error(error, name, *wanted) from None
        self._access = access
        self._waiters = Waiters(repr(self))

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"fd={self.fileno()}"
        return f"<{type(self).__name__} {self.name!r} {state}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def fileno(self) -> int:
        """The descriptor, for poll and the like; -1 once closed."""
        return self._descriptor.fd

    @property
    def closed(self) -> bool:
        return self._descriptor.fd < 0

    def close(self) -> None:
        """Close the descriptor; the queue stays. Idempotent. Coroutines that wait get OSError
        (EBADF); a blocking call in another thread goes on until it has its message.
        """
        self._descriptor.close()
        self._waiters.end()

    def unlink(self) -> None:
        """Remove the name (mq_unlink); who has the queue open keeps it. FileNotFoundError."""
        unlink(self.name)

    def getattr(self) -> QueueAttributes:
        """What mq_getattr says. OSError (EBADF) when closed."""
        self._check_open()
        return QueueAttributes(*self._descriptor.attributes())

    def setattr(self, flags: int) -> QueueAttributes:
        """Set O_NONBLOCK, or 0; returns what was before (mq_setattr changes nothing else).

        It makes the blocking methods, of everyone who has this open file, fail at once with
        BlockingIOError; the others never block anyhow.
        """
        if flags & ~os.O_NONBLOCK:
            raise ValueError(f"flags {flags:#o}: only os.O_NONBLOCK can be set, or 0")
        self._check_open()
        return QueueAttributes(*self._descriptor.set_flags(flags))

    # ---- receiving ---------------------------------------------------------------------------

    async def receive(self) -> tuple[bytes, int]:
        """Take the first message of the highest priority: (data, priority)."""
        self._waiters.loop()
        await self._waiters.turn()
        got = self._descriptor.receive()
        if got == -errno.EAGAIN:
            got = await self._waiters.perform(self._operation_receive())
        return got if isinstance(got, tuple) else self._fail(got)

    async def receive_into(self, buffer: Buffer) -> tuple[int, int]:
        """The same into `buffer`, which must hold the largest message: (size, priority).

        Nothing is copied. The buffer is exported while it waits. OSError (EMSGSIZE) for a buffer
        of less than `msgsize` bytes: nothing was taken.
        """
        self._waiters.loop()
        await self._waiters.turn()
        got = self._descriptor.receive_into(buffer)
        if got == -errno.EAGAIN:
            got = await self._waiters.perform(self._operation_receive(buffer))
        return got if isinstance(got, tuple) else self._fail(got)

    def try_receive(self) -> tuple[bytes, int]:
        """A message that is there, or BlockingIOError."""
        got = self._descriptor.receive()
        return got if isinstance(got, tuple) else self._fail(got)

    def receive_blocking(self, timeout: float | None = None) -> tuple[bytes, int]:
        """The same in a thread with no loop. TimeoutError after `timeout` seconds of the system's
        clock. Releases the GIL, and runs signal handlers.
        """
        self._check_open()
        buffer = bytearray(self._descriptor.msgsize)
        got = self._descriptor.receive_blocking(buffer, timeout)
        return (
            (bytes(memoryview(buffer)[: got[0]]), got[1])
            if isinstance(got, tuple)
            else (self._fail(got))
        )

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[bytes, int]:
        """As `receive`; the iteration ends when the queue is closed."""
        try:
            return await self.receive()
        except OSError:
            if self.closed:
                raise StopAsyncIteration from None
            raise

    # ---- sending -----------------------------------------------------------------------------

    async def send(self, data: Buffer, priority: int = 0) -> None:
        """Put a message into the queue, when there is room. The data is exported until then."""
        self._waiters.loop()
        self._check_priority(priority)
        await self._waiters.turn()
        got = self._descriptor.send(data, priority)
        if got == -errno.EAGAIN:
            got = await self._waiters.perform(self._operation_send(data, priority))
        if got:
            self._fail(got, data)

    def try_send(self, data: Buffer, priority: int = 0) -> None:
        """Put a message into the queue now, or BlockingIOError when it is full."""
        self._check_priority(priority)
        if got := self._descriptor.send(data, priority):
            self._fail(got, data)

    def send_blocking(self, data: Buffer, priority: int = 0, timeout: float | None = None) -> None:
        """As `receive_blocking`."""
        self._check_open()
        self._check_priority(priority)
        if got := self._descriptor.send_blocking(data, priority, timeout):
            self._fail(got, data)

    # ---- for a channel -----------------------------------------------------------------------

    def sending(self, data: Buffer, priority: int = 0) -> Operation:
        """What `EventChannel.request` is given to send; given the queue itself, it receives."""
        return self._operation_send(data, priority)

    def _operation(self, buffer: Buffer | None = None) -> ReceiveQueue:
        return self._operation_receive(buffer)

    def _operation_receive(self, buffer: Buffer | None = None) -> ReceiveQueue:
        return ReceiveQueue(self._descriptor, buffer)

    def _operation_send(self, data: Buffer, priority: int = 0) -> SendQueue:
        self._check_priority(priority)
        return SendQueue(self._descriptor, data, priority)

    # ---- what went wrong ---------------------------------------------------------------------

    def _check_open(self) -> None:
        if self.closed:
            self._fail(-errno.EBADF)

    def _check_priority(self, priority: int) -> None:
        if not 0 <= priority <= PRIORITY_MAX:
            raise ValueError(f"priority {priority}: 0 to {PRIORITY_MAX}, the highest comes first")

    def _fail(self, result: int, data: Any = None) -> NoReturn:
        if self.closed:  # also what a wait that a close has ended says
            raise OSError(errno.EBADF, f"the message queue {self.name!r} is closed")
        raise OSError(-result, self._explanation(-result, data))

    def _explanation(self, number: int, data: Any) -> str:
        maxmsg, msgsize = self._descriptor.maxmsg, self._descriptor.msgsize
        match number:
            case errno.EBADF:
                return f"{self.name!r} was opened with access={self._access!r}"
            case errno.EMSGSIZE if data is None:
                return f"the buffer must hold the largest message of {self.name!r}, {msgsize} bytes"
            case errno.EMSGSIZE:
                return (
                    f"a message of {memoryview(data).nbytes} bytes, and {self.name!r} takes "
                    f"{msgsize}: make the queue with a larger msgsize, or send it in pieces"
                )
            case errno.EAGAIN if data is None:
                return f"there is no message in {self.name!r}"
            case errno.EAGAIN:
                return f"{self.name!r} is full: {maxmsg} messages"
        return f"{os.strerror(number)}: {self.name!r}"


def unlink(name: str) -> None:
    """Remove the name of a POSIX queue (mq_unlink); who has it open keeps it. Raises OSError."""
    try:
        queue_descriptor.unlink(encoded_name(name))
    except OSError as error:
        raise opening_error(error, name) from None
