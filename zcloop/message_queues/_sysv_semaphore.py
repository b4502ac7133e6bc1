"""Sets of System V semaphores, awaited with a thread for as long as somebody waits."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence
from typing import Any, Self

from zcloop._native.ipc import sysv_semaphores
from zcloop._native.ipc.change_sysv import ChangeSysv
from zcloop.message_queues._sysv_object import SysvObject, checked_key

VALUE_MAX = 32767
Changes = Iterable[tuple[int, int]]


class SysvSemaphore(SysvObject):
    """A set of System V semaphores, each a number that never falls below 0.

    `key` names it to other programs (see `ftok`); None makes a private one, whose `id` others
    `attach`. With `create` a set with these `values` is made if there is none (released into a
    new set in one step: who comes in between waits), with permissions `mode`; `exclusive` makes
    an existing one a FileExistsError. It stays until `remove`.

    With `undo` the kernel makes a change back when the process ends (SEM_UNDO), however it ends.

    `await` needs a zcloop loop. The kernel has no descriptor for these semaphores, so what really
    has to wait does so in a thread of its own, with no Python in it, for just as long; the kernel
    serves those who wait in their order, of whatever process. A coroutine that is cancelled has
    changed nothing; of a change that also released something, and was made in that very moment,
    what others have acquired since stays. Thread-safe, usable from several loops and processes,
    and by a forked child.

    OSError as semget fails; ValueError for bad values.
    """

    noun = "semaphore set"

    def __init__(
        self,
        key: int | None = None,
        values: Sequence[int] = (1,),
        *,
        create: bool = False,
        exclusive: bool = False,
        mode: int = 0o600,
    ) -> None:
        native = checked_key(key)
        if not values or min(values) < 0 or max(values) > VALUE_MAX:
            raise ValueError(f"values {values!r}: one from 0 on to {VALUE_MAX} for each semaphore")
        try:
            identifier, is_new = get(native, len(values), create, exclusive, mode)
        except OSError as error:
            if error.errno == errno.EINVAL:
                raise OSError(
                    errno.EINVAL, f"the set of this key has fewer than {len(values)} semaphores"
                ) from None
            hint = "kernel.sem allows no more sets or semaphores: ipcs -s, ipcrm -s, or sysctl it"
            raise self._getting_error(error, key, hint) from None
        super().__init__(identifier)
        initial = [(number, value) for number, value in enumerate(values) if value]
        if is_new and initial:
            try:
                self._change(initial, False)
            except BaseException:
                self.remove()
                raise

    @classmethod
    def attach(cls, identifier: int) -> Self:
        """The set of this `id`, for which there may be no key. OSError (EIDRM) if none has it."""
        semaphore = cls.__new__(cls)
        SysvObject.__init__(semaphore, identifier)
        len(semaphore)
        return semaphore

    # ---- acquiring and releasing -------------------------------------------------------------

    async def acquire(self, number: int = 0, count: int = 1, *, undo: bool = False) -> None:
        """Lower a semaphore by `count`, when it is that high."""
        await self.change([(number, -checked_count(count))], undo=undo)

    def try_acquire(self, number: int = 0, count: int = 1, *, undo: bool = False) -> bool:
        """The same now; False when it is not that high."""
        return self.try_change([(number, -checked_count(count))], undo=undo)

    def acquire_blocking(
        self,
        number: int = 0,
        count: int = 1,
        *,
        undo: bool = False,
        timeout: float | None = None,
    ) -> bool:
        """The same in a thread with no loop; False after `timeout` seconds. Releases the GIL, and
        runs signal handlers.
        """
        return self.change_blocking([(number, -checked_count(count))], undo=undo, timeout=timeout)

    def release(self, number: int = 0, count: int = 1, *, undo: bool = False) -> None:
        """Raise a semaphore by `count`; never waits. OSError (ERANGE) above 32,767.

        What was acquired with `undo` is released with it, or the end of the process does so again.
        """
        self._change([(number, checked_count(count))], undo)

    async def wait_for_zero(self, number: int = 0) -> None:
        """Wait until a semaphore is 0; it stays 0."""
        await self.change([(number, 0)])

    async def change(self, changes: Changes, *, undo: bool = False) -> None:
        """Change several in one step, when all is possible: (number, change) pairs, in order.

        A negative change acquires, a positive one releases, 0 waits for zero.
        """
        changes = list(changes)
        self._waiters.loop()
        await self._waiters.turn()
        if not self._change(changes, undo):
            got = await self._perform(self._operation(changes, undo=undo))
            if got is not None:
                self._fail(-got)

    def try_change(self, changes: Changes, *, undo: bool = False) -> bool:
        """The same now; False, and nothing changed, when one would have to wait."""
        return self._change(list(changes), undo)

    def change_blocking(
        self, changes: Changes, *, undo: bool = False, timeout: float | None = None
    ) -> bool:
        """As `acquire_blocking`."""
        changes = list(changes)
        if self._change(changes, undo):
            return True
        got: Any = self._operation(changes, undo=undo).block(timeout)
        if got == -errno.ETIMEDOUT:
            return False
        if got is not None:
            self._fail(-got)
        return True

    def _change(self, changes: list[tuple[int, int]], undo: bool) -> bool:
        """Whether it could be made at once."""
        self._check_open()
        got = sysv_semaphores.change(self.id, changes, undo)
        if got == -errno.EAGAIN:
            return False
        if got == -errno.EFBIG:
            raise ValueError(f"{changes!r}: {self!r} has {len(self)} semaphores")
        if got == -errno.ERANGE:
            raise OverflowError(f"{changes!r}: a semaphore's value is at most {VALUE_MAX}")
        if got:
            self._fail(-got)
        return True

    def _operation(self, changes: Changes, *, undo: bool = False) -> ChangeSysv:
        self._check_open()
        return ChangeSysv(self.id, changes, undo)

    # ---- the set -----------------------------------------------------------------------------

    def __len__(self) -> int:
        """How many semaphores there are."""
        return self._ask(sysv_semaphores.status)[0]  # type: ignore[no-any-return]

    def values(self) -> list[int]:
        """All values at one moment."""
        return self._ask(sysv_semaphores.values)  # type: ignore[no-any-return]

    def value(self, number: int = 0) -> int:
        """The value of one semaphore now; another process may change it."""
        return self._ask(sysv_semaphores.value, self._checked(number))  # type: ignore[no-any-return]

    def set_value(self, value: int, number: int = 0) -> None:
        """Whatever it was; wakes who waits for that, and forgets what is to be undone (SETVAL)."""
        if not 0 <= value <= VALUE_MAX:
            raise ValueError(f"value {value}: 0 to {VALUE_MAX}")
        self._ask(sysv_semaphores.set_value, self._checked(number), value)

    def waiting(self, number: int = 0) -> tuple[int, int]:
        """How many wait for it to grow, and how many for zero, in all processes."""
        return self._ask(sysv_semaphores.waiting, self._checked(number))  # type: ignore[no-any-return]

    def last_pid(self, number: int = 0) -> int:
        """Who changed it last; 0: nobody."""
        return self._ask(sysv_semaphores.last_pid, self._checked(number))  # type: ignore[no-any-return]

    def configure(
        self, *, mode: int | None = None, uid: int | None = None, gid: int | None = None
    ) -> None:
        """Change what is given (IPC_SET). PermissionError for others than the owner."""
        now = self._ask(sysv_semaphores.status)[1:]
        wanted = [
            old if new is None else new for old, new in zip(now, (mode, uid, gid), strict=True)
        ]
        self._ask(sysv_semaphores.configure, *wanted)

    def remove(self) -> None:
        """Remove the set: everybody who waits gets OSError (EIDRM)."""
        try:
            sysv_semaphores.remove(self.id)
        except OSError as error:
            self._fail(error.errno or 0)

    def _checked(self, number: int) -> int:
        if not 0 <= number < len(self):
            raise ValueError(f"semaphore {number}: {self!r} has {len(self)}, counted from 0")
        return number

    def _ask(self, function: Any, *arguments: int) -> Any:
        self._check_open()
        try:
            return function(self.id, *arguments)
        except OSError as error:
            self._fail(error.errno or 0)


def get(key: int, count: int, create: bool, exclusive: bool, mode: int) -> tuple[int, bool]:
    """The set's identifier, and whether it was made now."""
    if not key:
        return sysv_semaphores.get(key, count, True, False, mode), True
    if create:
        try:
            return sysv_semaphores.get(key, count, True, True, mode), True
        except FileExistsError:
            if exclusive:
                raise
    return sysv_semaphores.get(key, count, False, False, 0), False


def checked_count(count: int) -> int:
    if not 1 <= count <= VALUE_MAX:
        raise ValueError(f"count {count}: 1 to {VALUE_MAX}")
    return count
