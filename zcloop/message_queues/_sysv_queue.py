"""System V message queues, awaited with a thread for as long as somebody waits."""

from __future__ import annotations

import errno
import pathlib
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Self

from zcloop._native.ipc import sysv_messages
from zcloop._native.ipc.receive_sysv import ReceiveSysv
from zcloop._native.ipc.send_sysv import SendSysv
from zcloop._native.operation.operation import Operation
from zcloop.message_queues._sysv_object import SysvObject, checked_key

if TYPE_CHECKING:
    from typing_extensions import Buffer

TYPE_MAX = (1 << 63) - 1
MSGMAX = pathlib.Path("/proc/sys/kernel/msgmax")


class SysvQueueStatus(NamedTuple):
    """msqid_ds: what is in the queue, how many bytes it may hold, and whose it is."""

    messages: int
    bytes: int
    bytes_max: int
    last_sender: int
    last_receiver: int
    mode: int
    uid: int
    gid: int


class SysvQueue(SysvObject):
    """A System V message queue: messages are whole, and each has a type, a number above 0.

    `key` names it to other programs (see `ftok`); None makes a private one, whose `id` others
    `attach`. With `create` it is made if it does not exist, with permissions `mode`; `exclusive`
    makes an existing one a FileExistsError. It stays until `remove`.

    `await` needs a zcloop loop. The kernel has no descriptor for these queues, so what really has
    to wait does so in a thread of its own, with no Python in it, for just as long. A receive that
    is cancelled has taken nothing. A send that is cancelled sends nothing from then on; it cannot
    say whether it had sent the message in the same moment. Another program that sleeps in msgrcv
    itself gets a message first. Thread-safe, usable from several loops and processes, and by a
    forked child.

    OSError as msgget fails.
    """

    noun = "message queue"

    def __init__(
        self,
        key: int | None = None,
        *,
        create: bool = False,
        exclusive: bool = False,
        mode: int = 0o600,
    ) -> None:
        try:
            identifier = sysv_messages.get(checked_key(key), create, exclusive, mode)
        except OSError as error:
            hint = "kernel.msgmni queues exist: ipcs -q, ipcrm -q, or sysctl kernel.msgmni=64000"
            raise self._getting_error(error, key, hint) from None
        super().__init__(identifier)

    @classmethod
    def attach(cls, identifier: int) -> Self:
        """The queue of this `id`, for which there may be no key. OSError (EIDRM) if none has it."""
        queue = cls.__new__(cls)
        SysvObject.__init__(queue, identifier)
        queue.status()
        return queue

    def remove(self) -> None:
        """Remove the queue and its messages: everybody who waits gets OSError (EIDRM)."""
        try:
            sysv_messages.remove(self.id)
        except OSError as error:
            self._fail(error.errno or 0)

    def status(self) -> SysvQueueStatus:
        """What msgctl says. OSError."""
        self._check_open()
        try:
            return SysvQueueStatus(*sysv_messages.status(self.id))
        except OSError as error:
            self._fail(error.errno or 0)

    def configure(
        self,
        *,
        bytes_max: int | None = None,
        mode: int | None = None,
        uid: int | None = None,
        gid: int | None = None,
    ) -> None:
        """Change what is given (IPC_SET). PermissionError for others than the owner, and for
        more bytes than kernel.msgmnb without CAP_SYS_RESOURCE.
        """
        now = self.status()
        wanted = [
            old if new is None else new
            for old, new in zip(
                (now.bytes_max, now.mode, now.uid, now.gid),
                (bytes_max, mode, uid, gid),
                strict=True,
            )
        ]
        try:
            sysv_messages.configure(self.id, *wanted)
        except OSError as error:
            self._fail(error.errno or 0)

    # ---- receiving ---------------------------------------------------------------------------

    async def receive(self, type: int = 0, *, excluded: bool = False) -> tuple[bytes, int]:
        """Take the first message of this type: (data, type).

        0 is any type; -n is the lowest type up to n; `excluded` any type but this one.
        """
        self._waiters.loop()
        await self._waiters.turn()
        got = self._try(type, excluded)
        if got == -errno.EAGAIN:
            got = await self._perform(self._operation_receive(type, excluded=excluded))
        return got if isinstance(got, tuple) else self._fail(-got)

    def try_receive(self, type: int = 0, *, excluded: bool = False) -> tuple[bytes, int]:
        """A message that is there, or BlockingIOError."""
        got = self._try(type, excluded)
        if got == -errno.EAGAIN:
            raise BlockingIOError(errno.EAGAIN, f"there is no such message in {self!r}")
        return got if isinstance(got, tuple) else self._fail(-got)

    def receive_blocking(
        self, type: int = 0, *, excluded: bool = False, timeout: float | None = None
    ) -> tuple[bytes, int]:
        """The same in a thread with no loop. TimeoutError after `timeout` seconds. Releases the
        GIL, and runs signal handlers.
        """
        got: Any = self._try(type, excluded)
        if got == -errno.EAGAIN:
            got = self._operation_receive(type, excluded=excluded).block(timeout)
        return got if isinstance(got, tuple) else self._fail(-got)

    def _try(self, type: int, excluded: bool) -> tuple[bytes, int] | int:
        self._check_open()
        return sysv_messages.receive(self.id, type, flags_of(type, excluded))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[bytes, int]:
        """As `receive`; the iteration ends when the queue is closed, not when it is removed."""
        try:
            return await self.receive()
        except OSError:
            if self.closed:
                raise StopAsyncIteration from None
            raise

    # ---- sending -----------------------------------------------------------------------------

    async def send(self, data: Buffer, type: int = 1) -> None:
        """Put a message into the queue, when there is room. The data is copied."""
        self._waiters.loop()
        await self._waiters.turn()
        if self._put(data, type):
            got = await self._perform(self._operation_send(data, type))
            if got is not None:
                self._fail_to_send(-got, data)

    def try_send(self, data: Buffer, type: int = 1) -> None:
        """Put a message into the queue now, or BlockingIOError when it is full."""
        if self._put(data, type):
            raise BlockingIOError(errno.EAGAIN, f"{self!r} is full")

    def send_blocking(self, data: Buffer, type: int = 1, *, timeout: float | None = None) -> None:
        """As `receive_blocking`."""
        if self._put(data, type):
            got = self._operation_send(data, type).block(timeout)
            if got is not None:
                self._fail_to_send(-got, data)

    def _put(self, data: Buffer, type: int) -> bool:
        """Whether the queue is full."""
        self._check_open()
        got = sysv_messages.send(self.id, data, checked_type(type))
        if got == -errno.EAGAIN:
            self._check_fits(data)
            return True
        if got:
            self._fail_to_send(-got, data)
        return False

    def _check_fits(self, data: Buffer) -> None:
        """What is larger than the whole queue would wait for ever."""
        size, most = memoryview(data).nbytes, self.status().bytes_max
        if size > most:
            raise OSError(
                errno.EMSGSIZE,
                f"a message of {size} bytes, and {self!r} holds {most}: configure(bytes_max=…) "
                "it, or send it in pieces",
            )

    def _fail_to_send(self, number: int, data: Buffer) -> NoReturn:
        size, most = memoryview(data).nbytes, int(MSGMAX.read_text())
        if number == errno.EINVAL and size > most:
            raise OSError(
                errno.EMSGSIZE,
                f"a message of {size} bytes, and kernel.msgmax is {most}: "
                f"sysctl kernel.msgmax={size}, or send it in pieces",
            )
        self._fail(number)

    # ---- for a channel -----------------------------------------------------------------------

    def sending(self, data: Buffer, type: int = 1) -> Operation:
        """What `EventChannel.request` is given to send; given the queue itself, it receives."""
        return self._operation_send(data, type)

    def _operation(self, type: int = 0) -> ReceiveSysv:
        return self._operation_receive(type)

    def _operation_receive(self, type: int = 0, *, excluded: bool = False) -> ReceiveSysv:
        self._check_open()
        return ReceiveSysv(self.id, type, flags_of(type, excluded))

    def _operation_send(self, data: Buffer, type: int = 1) -> SendSysv:
        self._check_open()
        return SendSysv(self.id, data, checked_type(type))


def checked_type(type: int) -> int:
    if not 1 <= type <= TYPE_MAX:
        raise ValueError(f"type {type}: a message's is from 1 to 2**63 - 1")
    return type


def flags_of(type: int, excluded: bool) -> int:
    if not -TYPE_MAX <= type <= TYPE_MAX:
        raise ValueError(f"type {type}: 0 for any, or up to 2**63 - 1 either way")
    if excluded and type < 1:
        raise ValueError(f"type {type}: only a message's own type, from 1 on, can be excluded")
    return sysv_messages.EXCEPT if excluded else 0
