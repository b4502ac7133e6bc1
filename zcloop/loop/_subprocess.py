"""Child processes: asyncio's subprocess transport, which learns of a child's end from a pidfd.

There is no thread and no SIGCHLD handler: the pidfd (Linux 5.3) becomes readable when the child
ends, and only that child is reaped. Where pidfd_open is refused one thread waits for each child.

A child is reaped by us when it ends, by us before we send it a signal, or by the program through
its Popen. Whoever is first leaves the status in the Popen, under the Popen's own lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
from asyncio import base_subprocess
from asyncio.log import logger
from typing import Any, NoReturn


class SubprocessTransport(base_subprocess.BaseSubprocessTransport):
    """The asyncio.SubprocessTransport of a child that subprocess.Popen has started.

    The child's stdin is a pipe on every Python, so that the child can open /dev/stdin. (asyncio of
    Python 3.11 makes a socketpair, which cannot be opened.) To wait for the child is to wait for
    its end alone: a process that the child has left behind may keep its pipes open. Not
    thread-safe, as asyncio's.
    """

    _loop: Any
    _proc: Any
    _pipes: dict[int, Any]
    _returncode: int | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._waiting: list[asyncio.Future[int]] = []
        super().__init__(*args, **kwargs)

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"cannot pickle {type(self).__name__!r} object: a copy would end its child")

    def _start(
        self,
        args: Any,
        shell: bool,
        stdin: Any,
        stdout: Any,
        stderr: Any,
        bufsize: int,
        **kwargs: Any,
    ) -> None:
        self._proc = subprocess.Popen(
            args, shell=shell, stdin=stdin, stdout=stdout, stderr=stderr,
            universal_newlines=False, bufsize=bufsize, **kwargs,
        )  # fmt: skip

    async def _wait(self) -> int:
        """Wait for the end of the child; its status."""
        if self._returncode is not None:
            return self._returncode
        waiter: asyncio.Future[int] = self._loop.create_future()
        self._waiting.append(waiter)
        return await waiter

    def _process_exited(self, returncode: int) -> None:
        super()._process_exited(returncode)
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(returncode)
        self._waiting.clear()

    def close(self) -> None:
        """Close its pipes, and kill the child if it runs. Idempotent."""
        if self._proc is not None:
            _poll(self._proc)
        if self._loop is not None and self._loop.is_closed():
            self._drop_pipes()  # the loop will not run what they call at their end
        super().close()

    def _drop_pipes(self) -> None:
        for protocol in self._pipes.values():
            if protocol is not None and protocol.pipe is not None:
                protocol.pipe._drop()

    def send_signal(self, signal: int) -> None:
        """Send a signal to the child, unless it has ended: then another may have its pid.

        ProcessLookupError if the child's pipes have ended, too.
        """
        self._check_proc()
        if _poll(self._proc) is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._proc.pid, signal)

    def terminate(self) -> None:
        """Send SIGTERM, as send_signal() does."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL, as send_signal() does."""
        self.send_signal(signal.SIGKILL)


def watch_child(loop: Any, transport: Any) -> None:
    """Have transport._process_exited(returncode) called on the loop when the child has ended."""
    process = transport._proc
    try:
        pidfd = os.pidfd_open(process.pid)
    except OSError:
        threading.Thread(
            target=_wait_in_thread,
            args=(loop, transport, process),
            name=f"wait-{process.pid}",
            daemon=True,
        ).start()
        return
    loop._watched[pidfd] = process  # the loop closes the pidfd at its end, if the child runs still
    loop._add_reader(pidfd, _child_ended, loop, transport, process, pidfd)


def reap_before_others(loop: Any) -> None:
    """Take the statuses of the loop's children that have ended, before a handler of SIGCHLD runs.

    The handler may wait for every child, as asyncio's FastChildWatcher does. Then the loop would
    not learn how its own children ended.
    """
    for process in list(loop._watched.values()):
        _poll(process)


def _poll(process: Any) -> int | None:
    """The status of a child if it has ended, and None while it runs. Thread-safe."""
    if process._waitpid_lock.acquire(blocking=False):
        try:
            _reap_locked(process, os.WNOHANG)
        finally:
            process._waitpid_lock.release()
    returncode: int | None = process.returncode
    return returncode


def _reap(process: Any) -> int:
    """The status of a child that has ended. Thread-safe."""
    with process._waitpid_lock:
        _reap_locked(process, 0)
        returncode: int = process.returncode
    return returncode


def _reap_locked(process: Any, flags: int) -> None:
    if process.returncode is not None:
        return
    try:
        pid, status = os.waitpid(process.pid, flags)
    except ChildProcessError:
        # Other code has reaped the child, and has its status. asyncio says 255 then (Popen says 0).
        logger.warning("Unknown child process pid %d, will report returncode 255", process.pid)
        process.returncode = 255
    else:
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)


def _child_ended(loop: Any, transport: Any, process: Any, pidfd: int) -> None:
    loop._remove_reader(pidfd)
    loop._watched.pop(pidfd, None)
    os.close(pidfd)
    transport._process_exited(_reap(process))


def _wait_in_thread(loop: Any, transport: Any, process: Any) -> None:
    with contextlib.suppress(ChildProcessError):  # its Popen was first, or other code
        # This does not reap the child, and needs no lock: so the loop may send signals meanwhile.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    returncode = _reap(process)
    try:
        loop.call_soon_threadsafe(transport._process_exited, returncode)
    except RuntimeError:
        if not loop.is_closed():
            raise
