"""Child processes: asyncio's subprocess transport, with exits learnt from a pidfd on the ring.

No thread and no SIGCHLD handler: the pidfd becomes readable when the child ends, and only that
child is reaped. A kernel or sandbox without pidfd_open gets one waiting thread a child instead.
"""

from __future__ import annotations

import os
import subprocess
import threading
from asyncio import base_subprocess
from asyncio.log import logger
from typing import Any, NoReturn


class SubprocessTransport(base_subprocess.BaseSubprocessTransport):
    """asyncio.SubprocessTransport of a child started by subprocess.Popen.

    Its stdin is a pipe on every Python, so the child can open /dev/stdin (a socketpair, which
    Python 3.11 uses, cannot be opened).
    """

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


def watch_child(loop: Any, transport: Any) -> None:
    """Call transport._process_exited(returncode) on the loop when the child has ended."""
    pid = transport.get_pid()
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        threading.Thread(
            target=_wait_in_thread, args=(loop, transport, pid), name=f"wait-{pid}", daemon=True
        ).start()
        return
    loop._pidfds.add(pidfd)  # closed with the loop if the child outlives it
    loop._add_reader(pidfd, _child_ended, loop, transport, pid, pidfd)


def _reap(pid: int) -> int:
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError:
        # Reaped by somebody else: the status is gone, and asyncio says 255 then.
        logger.warning("Unknown child process pid %d, will report returncode 255", pid)
        return 255
    return os.waitstatus_to_exitcode(status)


def _child_ended(loop: Any, transport: Any, pid: int, pidfd: int) -> None:
    loop._remove_reader(pidfd)
    loop._pidfds.discard(pidfd)
    os.close(pidfd)
    transport._process_exited(_reap(pid))


def _wait_in_thread(loop: Any, transport: Any, pid: int) -> None:
    returncode = _reap(pid)
    if not loop.is_closed():
        loop.call_soon_threadsafe(transport._process_exited, returncode)
