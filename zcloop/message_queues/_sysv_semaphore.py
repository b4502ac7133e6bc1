"""Sets of System V semaphores. A native thread waits in the kernel as long as a coroutine does."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence
from typing import Any, Self

from zcloop._native.ipc import sysv_semaphores
from zcloop._native.ipc.change_sysv import ChangeSysv
from zcloop.message_queues._sysv_object import SysvObject, checked_key

VALUE_MAX = 32767  # SEMVMX
Changes = Iterable[tuple[int, int]]


class SysvSemaphore(SysvObject):
    """A set of System V semaphores, each a number that never falls below 0.

    `key` names the set to other programs (see `ftok`). None makes a private one, whose `id` others
    `attach`. With `create` a set with these `values` is made if there is none, with permissions
    `mode`; `exclusive` makes an existing one a FileExistsError. The values are released into the
    new set in one step: a process that opens it before that waits. It stays until `remove`.

    With `undo` the kernel takes a change back when the process ends (SEM_UNDO), however it ends.

    `await` needs a zcloop loop, RuntimeError on others. The kernel has no descriptor for these
    semaphores, so a change that has to wait has a native thread for as long as it waits. The kernel
    serves all who wait in their order, also between processes. A coroutine that is cancelled has
    changed nothing, with one exception: if its change was made in that very moment, and also
    released something that another has acquired since, that part stays. Thread-safe, usable from
    several loops and processes, and by a forked child.

    OSError as semget fails; ValueError for bad values. Methods raise OSError: EIDRM once the set is
    removed, EBADF once this object is closed; ValueError for a semaphore that the set does not
    have.
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
        """The set with this `id`, which need not have a key. OSError (EIDRM) if there is none."""
        semaphore = cls.__new__(cls)
        SysvObject.__init__(semaphore, identifier)
        len(semaphore)
        return semaphore

    # ---- acquiring and releasing -------------------------------------------------------------

    async def acquire(self, number: int = 0, count: int = 1, *, undo: bool = False) -> None:
        """Wait until a semaphore is at least `count`, and lower it by `count`."""
        await self.change([(number, -checked_count(count))], undo=undo)

    def try_acquire(self, number: int = 0, count: int = 1, *, undo: bool = False) -> bool:
        """Lower a semaphore by `count` now; False when it is lower than that."""
        return self.try_change([(number, -checked_count(count))], undo=undo)

    def acquire_blocking(
        self,
        number: int = 0,
        count: int = 1,
        *,
        undo: bool = False,
        timeout: float | None = None,
    ) -> bool:
        """As `acquire`, in a thread that has no loop; False after `timeout` seconds.

        It lets go of the GIL while it sleeps, and runs signal handlers.
        """
        return self.change_blocking([(number, -checked_count(count))], undo=undo, timeout=timeout)

    def release(self, number: int = 0, count: int = 1, *, undo: bool = False) -> None:
        """Raise a semaphore by `count`; never waits. OverflowError above 32767.

        What was acquired with `undo` must be released with `undo`; else the end of the process
        releases it once more.
        """
        self._change([(number, checked_count(count))], undo)

    async def wait_for_zero(self, number: int = 0) -> None:
        """Wait until a semaphore is 0. Its value is not changed, and may rise again at any time."""
        await self.change([(number, 0)])

    async def change(self, changes: Changes, *, undo: bool = False) -> None:
        """Wait until all of several changes are possible, and make them in one step.

        `changes` are (number, change) pairs, at most 500, in order. A negative change acquires, a
        positive one releases, 0 waits for zero.
        """
        changes = list(changes)
        self._waiters.loop()
        await self._waiters.turn()
        if not self._change(changes, undo):
            got = await self._perform(self._operation(changes, undo=undo))
            if got is not None:
                self._fail(-got)

    def try_change(self, changes: Changes, *, undo: bool = False) -> bool:
        """Make all changes now, as `change`; False, and none is made, if one would have to wait."""
        return self._change(list(changes), undo)

    def change_blocking(
        self, changes: Changes, *, undo: bool = False, timeout: float | None = None
    ) -> bool:
        """As `change`, in a thread that has no loop; the rest as of `acquire_blocking`."""
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
        """Make the changes now, or none of them: whether they were made."""
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
        """How many semaphores the set has."""
        return self._ask(sysv_semaphores.status)[0]  # type: ignore[no-any-return]

    def values(self) -> list[int]:
        """All values at one moment."""
        return self._ask(sysv_semaphores.values)  # type: ignore[no-any-return]

    def value(self, number: int = 0) -> int:
        """The value of a semaphore now; another process may change it at any time."""
        return self._ask(sysv_semaphores.value, self._checked(number))  # type: ignore[no-any-return]

    def set_value(self, value: int, number: int = 0) -> None:
        """Set a semaphore, whatever its value is (SETVAL).

        Those who wait for this value are woken, and what is to be undone is forgotten in all
        processes. ValueError for a value that is not from 0 to 32767.
        """
        if not 0 <= value <= VALUE_MAX:
            raise ValueError(f"value {value}: 0 to {VALUE_MAX}")
        self._ask(sysv_semaphores.set_value, self._checked(number), value)

    def waiting(self, number: int = 0) -> tuple[int, int]:
        """How many wait for a semaphore to rise, and how many for zero, in all processes."""
        return self._ask(sysv_semaphores.waiting, self._checked(number))  # type: ignore[no-any-return]

    def last_pid(self, number: int = 0) -> int:
        """The pid of the process that changed a semaphore last; 0: nobody."""
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
        """Remove the set. All who wait get OSError (EIDRM).

        PermissionError for others than its owner.
        """
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
    """The count, if a semaphore may be changed by it; else ValueError."""
    if not 1 <= count <= VALUE_MAX:
        raise ValueError(f"count {count}: 1 to {VALUE_MAX}")
    return count
