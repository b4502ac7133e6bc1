"""System V message queues. A native thread waits in the kernel for as long as a coroutine does."""

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

TYPE_MAX = (1 << 63) - 1  # LONG_MAX
# The largest message, in bytes: see proc(5).
MSGMAX = pathlib.Path("/proc/sys/kernel/msgmax")


class SysvQueueStatus(NamedTuple):
    """msqid_ds: what is in the queue, how many bytes it may hold, and whose it is.

    `last_sender` and `last_receiver` are pids, 0 for nobody.
    """

    messages: int
    bytes: int
    bytes_max: int
    last_sender: int
    last_receiver: int
    mode: int
    uid: int
    gid: int


class SysvQueue(SysvObject):
    """A System V message queue. Messages are whole, and each has a type, a number above 0.

    `key` names the queue to other programs (see `ftok`). None makes a private one, whose `id`
    others `attach`. With `create` the queue is made if it does not exist, with permissions `mode`;
    `exclusive` makes an existing one a FileExistsError. It stays until `remove`.

    `await` needs a zcloop loop, RuntimeError on others. The kernel has no descriptor for these
    queues, so a call that has to wait has a native thread for as long as it waits. A receive that
    is cancelled has received nothing. A send that is cancelled sends nothing from then on; it
    cannot say whether it had sent the message in the same moment. Another program that sleeps in
    msgrcv itself gets a message first. Thread-safe, usable from several loops and processes, and by
    a forked child.

    OSError as msgget fails. Methods raise OSError: EIDRM once the queue is removed, EBADF once this
    object is closed.
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
        """The queue with this `id`, which need not have a key. OSError (EIDRM) if there is none."""
        queue = cls.__new__(cls)
        SysvObject.__init__(queue, identifier)
        queue.status()
        return queue

    def remove(self) -> None:
        """Remove the queue and its messages. All who wait get OSError (EIDRM).

        PermissionError for others than its owner.
        """
        try:
            sysv_messages.remove(self.id)
        except OSError as error:
            self._fail(error.errno or 0)

    def status(self) -> SysvQueueStatus:
        """What msgctl says of the queue now."""
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
        """Change what is given (IPC_SET).

        PermissionError for others than the owner, and for more bytes than kernel.msgmnb without
        CAP_SYS_RESOURCE.
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
        """Wait for a message of this type, and receive the first one: (data, type).

        Type 0 is any type, -n is the lowest type up to n, and with `excluded` it is any type but
        this one. ValueError for a type out of range.
        """
        self._waiters.loop()
        await self._waiters.turn()
        got = self._try_receive(type, excluded)
        if got == -errno.EAGAIN:
            got = await self._perform(self._operation_receive(type, excluded=excluded))
        return got if isinstance(got, tuple) else self._fail(-got)

    def try_receive(self, type: int = 0, *, excluded: bool = False) -> tuple[bytes, int]:
        """Receive a message that is there, as `receive`, or BlockingIOError."""
        got = self._try_receive(type, excluded)
        if got == -errno.EAGAIN:
            raise BlockingIOError(errno.EAGAIN, f"there is no such message in {self!r}")
        return got if isinstance(got, tuple) else self._fail(-got)

    def receive_blocking(
        self, type: int = 0, *, excluded: bool = False, timeout: float | None = None
    ) -> tuple[bytes, int]:
        """As `receive`, in a thread that has no loop.

        TimeoutError after `timeout` seconds. It lets go of the GIL while it sleeps, and runs signal
        handlers.
        """
        got: Any = self._try_receive(type, excluded)
        if got == -errno.EAGAIN:
            got = self._operation_receive(type, excluded=excluded).block(timeout)
        return got if isinstance(got, tuple) else self._fail(-got)

    def _try_receive(self, type: int, excluded: bool) -> tuple[bytes, int] | int:
        self._check_open()
        return sysv_messages.receive(self.id, type, flags_of(type, excluded))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[bytes, int]:
        """As `receive`. The iteration ends when the queue is closed, not when it is removed."""
        try:
            return await self.receive()
        except OSError:
            if self.closed:
                raise StopAsyncIteration from None
            raise

    # ---- sending -----------------------------------------------------------------------------

    async def send(self, data: Buffer, type: int = 1) -> None:
        """Wait for room, and send a message of this type, from 1 on. The data is copied.

        OSError (EMSGSIZE) for a message of more than kernel.msgmax bytes, or of more than the
        queue holds; ValueError for a type out of range.
        """
        self._waiters.loop()
        await self._waiters.turn()
        if self._try_send(data, type):
            got = await self._perform(self._operation_send(data, type))
            if got is not None:
                self._fail_to_send(-got, data)

    def try_send(self, data: Buffer, type: int = 1) -> None:
        """Send a message now, or BlockingIOError when the queue is full. Errors as of `send`."""
        if self._try_send(data, type):
            raise BlockingIOError(errno.EAGAIN, f"{self!r} is full")

    def send_blocking(self, data: Buffer, type: int = 1, *, timeout: float | None = None) -> None:
        """As `send`, in a thread that has no loop; time and signals as of `receive_blocking`."""
        if self._try_send(data, type):
            got = self._operation_send(data, type).block(timeout)
            if got is not None:
                self._fail_to_send(-got, data)

    def _try_send(self, data: Buffer, type: int) -> bool:
        """Send it now, unless the queue is full: whether it is."""
        self._check_open()
        got = sysv_messages.send(self.id, data, checked_type(type))
        if got == -errno.EAGAIN:
            self._check_fits(data)
            return True
        if got:
            self._fail_to_send(-got, data)
        return False

    def _check_fits(self, data: Buffer) -> None:
        """OSError for a message that is larger than the whole queue: it would wait for ever."""
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
        """An operation that sends, for `EventChannel.request`; given the queue, that receives."""
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
    """The type, if a message may have it; else ValueError."""
    if not 1 <= type <= TYPE_MAX:
        raise ValueError(f"type {type}: a message's is from 1 to 2**63 - 1")
    return type


def flags_of(type: int, excluded: bool) -> int:
    """The flags for msgrcv. ValueError for a type that cannot be asked for."""
    if not -TYPE_MAX <= type <= TYPE_MAX:
        raise ValueError(f"type {type}: 0 for any, or up to 2**63 - 1 either way")
    if excluded and type < 1:
        raise ValueError(f"type {type}: only a message's own type, from 1 on, can be excluded")
    return sysv_messages.EXCEPT if excluded else 0
