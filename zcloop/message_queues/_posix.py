"""POSIX message queues. Coroutines wait on the loop's channel, by polls of a queue's descriptor."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NoReturn, Self

from zcloop._closed_on_exit import ClosedOnExit
from zcloop._native.ipc import queue_descriptor
from zcloop._native.ipc.queue_descriptor import QueueDescriptor
from zcloop._native.ipc.receive_queue import ReceiveQueue
from zcloop._native.ipc.send_queue import SendQueue
from zcloop._native.operation.operation import Operation
from zcloop.message_queues._posix_limits import encoded_name, opening_error, wanted_attributes
from zcloop.message_queues._waiters import Waiters

if TYPE_CHECKING:
    from typing_extensions import Buffer

PRIORITY_MAX = 32767  # MQ_PRIO_MAX - 1
# What `access` may be, and the flag of mq_open(3) for it.
ACCESS = {"r": os.O_RDONLY, "w": os.O_WRONLY, "rw": os.O_RDWR}


class QueueAttributes(NamedTuple):
    """mq_attr: O_NONBLOCK or 0, the limits of the queue, and how many messages it has now."""

    flags: int
    maxmsg: int
    msgsize: int
    curmsgs: int


class PosixQueue(ClosedOnExit):
    """A POSIX message queue. Messages are whole; those of the highest priority come first, and
    those of one priority in their order.

    `name` begins with a slash, and has no other. With `create` the queue is made if it does not
    exist, with room for `maxmsg` messages of up to `msgsize` bytes (by default what the system
    says) and permissions `mode`; `exclusive` makes an existing one a FileExistsError. `access` is
    "r", "w" or "rw". The queue outlives its processes, until `unlink`.

    `await` needs a zcloop loop, RuntimeError on others; a coroutine that is cancelled has received
    or sent nothing. The try_* and *_blocking methods need no loop. Thread-safe, usable from several
    loops and processes, and by a forked child. If several wait for a message, any may get it.

    OSError as mq_open fails, saying which limit to raise; ValueError for a bad name or size. Once
    closed, methods raise OSError (EBADF).
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

    def fileno(self) -> int:
        """The descriptor, for poll and the like; -1 once closed."""
        return self._descriptor.fd

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._descriptor.fd < 0

    def close(self) -> None:
        """Close the descriptor; the queue stays. Idempotent.

        Coroutines that wait get OSError (EBADF). A blocking call in another thread goes on until it
        has its message.
        """
        self._descriptor.close()
        self._waiters.end()

    def unlink(self) -> None:
        """Remove the name (mq_unlink); whoever has the queue open keeps it.

        FileNotFoundError if the name is gone.
        """
        unlink(self.name)

    def getattr(self) -> QueueAttributes:
        """What mq_getattr says. OSError (EBADF) when closed."""
        self._check_open()
        return QueueAttributes(*self._descriptor.attributes())

    def setattr(self, flags: int) -> QueueAttributes:
        """Set O_NONBLOCK, or 0; the attributes before (mq_setattr changes nothing else).

        With O_NONBLOCK the blocking methods fail at once with BlockingIOError, in all processes
        that share this open file; the other methods never block anyhow. ValueError for other flags.
        """
        if flags & ~os.O_NONBLOCK:
            raise ValueError(f"flags {flags:#o}: only os.O_NONBLOCK can be set, or 0")
        self._check_open()
        return QueueAttributes(*self._descriptor.set_flags(flags))

    # ---- receiving ---------------------------------------------------------------------------

    async def receive(self) -> tuple[bytes, int]:
        """Wait for a message, and receive the first one of the highest priority: (data, priority).

        OSError (EBADF) when the queue is closed, or was opened for writing only.
        """
        self._waiters.loop()
        await self._waiters.turn()
        got = self._descriptor.receive()
        if got == -errno.EAGAIN:
            got = await self._waiters.perform(self._operation_receive())
        return got if isinstance(got, tuple) else self._fail(got)

    async def receive_into(self, buffer: Buffer) -> tuple[int, int]:
        """As `receive`, into a writable `buffer`: (size in bytes, priority).

        Nothing is copied. The buffer is exported while the coroutine waits. OSError (EMSGSIZE) for
        a buffer of less than `msgsize` bytes: nothing was received.
        """
        self._waiters.loop()
        await self._waiters.turn()
        got = self._descriptor.receive_into(buffer)
        if got == -errno.EAGAIN:
            got = await self._waiters.perform(self._operation_receive(buffer))
        return got if isinstance(got, tuple) else self._fail(got)

    def try_receive(self) -> tuple[bytes, int]:
        """Receive a message that is there: (data, priority), or BlockingIOError."""
        got = self._descriptor.receive()
        return got if isinstance(got, tuple) else self._fail(got)

    def receive_blocking(self, timeout: float | None = None) -> tuple[bytes, int]:
        """As `receive`, in a thread that has no loop.

        TimeoutError after `timeout` seconds of the system's clock. It lets go of the GIL while it
        sleeps, and runs signal handlers.
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
        """As `receive`. The iteration ends when the queue is closed."""
        try:
            return await self.receive()
        except OSError:
            if self.closed:
                raise StopAsyncIteration from None
            raise

    # ---- sending -----------------------------------------------------------------------------

    async def send(self, data: Buffer, priority: int = 0) -> None:
        """Wait for room, and send a message.

        `priority` is from 0 to 32767; the highest comes first. The data is exported until then, and
        not copied before. OSError (EMSGSIZE) for a message of more than `msgsize` bytes, ValueError
        for a bad priority.
        """
        self._waiters.loop()
        self._check_priority(priority)
        await self._waiters.turn()
        got = self._descriptor.send(data, priority)
        if got == -errno.EAGAIN:
            got = await self._waiters.perform(self._operation_send(data, priority))
        if got:
            self._fail(got, data)

    def try_send(self, data: Buffer, priority: int = 0) -> None:
        """Send a message now, or BlockingIOError when the queue is full. Errors as of `send`."""
        self._check_priority(priority)
        if got := self._descriptor.send(data, priority):
            self._fail(got, data)

    def send_blocking(self, data: Buffer, priority: int = 0, timeout: float | None = None) -> None:
        """As `send`, in a thread that has no loop; time and signals as of `receive_blocking`."""
        self._check_open()
        self._check_priority(priority)
        if got := self._descriptor.send_blocking(data, priority, timeout):
            self._fail(got, data)

    # ---- for a channel -----------------------------------------------------------------------

    def sending(self, data: Buffer, priority: int = 0) -> Operation:
        """An operation that sends, for `EventChannel.request`; given the queue, that receives."""
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
        if self.closed:  # then a wait has ended with ECANCELED: see `close`
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
    """Remove the name of a POSIX queue (mq_unlink); whoever has the queue open keeps it.

    FileNotFoundError if there is no such name, another OSError as mq_unlink fails, ValueError for
    what is no name of a queue.
    """
    try:
        queue_descriptor.unlink(encoded_name(name))
    except OSError as error:
        raise opening_error(error, name) from None
