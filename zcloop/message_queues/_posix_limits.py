"""What names and sizes a POSIX queue may have, and what to type to raise a limit."""

from __future__ import annotations

import errno
import os
import pathlib
import resource

NAME_SIZE_MAX = 255  # bytes, without the slash: NAME_MAX
# Where the kernel shows its limits: see mq_overview(7).
LIMITS = pathlib.Path("/proc/sys/fs/mqueue")


def encoded_name(name: str) -> bytes:
    """The name as mq_open gets it. ValueError for what is no name of a queue."""
    encoded = os.fsencode(name)
    if not name.startswith("/"):
        raise ValueError(f"the name of a message queue begins with a slash: {'/' + name!r}")
    if len(encoded) < 2 or b"/" in encoded[1:] or b"\0" in encoded or encoded in (b"/.", b"/.."):
        raise ValueError(f"{name!r} is no name of a message queue: one slash, and then a file name")
    if len(encoded) - 1 > NAME_SIZE_MAX:
        raise ValueError(f"a name of {len(encoded) - 1} bytes: at most {NAME_SIZE_MAX}")
    return encoded


def wanted_attributes(maxmsg: int | None, msgsize: int | None) -> tuple[int, int]:
    """Both sizes as mq_open gets them, which takes both or neither; 0, 0 for neither."""
    for name, value in (("maxmsg", maxmsg), ("msgsize", msgsize)):
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")
    if maxmsg is None and msgsize is None:
        return 0, 0
    return maxmsg or limit("msg_default"), msgsize or limit("msgsize_default")


def limit(name: str) -> int:
    """A limit of the system's. OSError without /proc."""
    return int((LIMITS / name).read_text())


def opening_error(error: OSError, name: str, maxmsg: int = 0, msgsize: int = 0) -> OSError:
    """What the errno of mq_open or mq_unlink means, and what to type."""
    number = error.errno or 0
    reason = os.strerror(number)
    try:
        if number == errno.EINVAL:
            for asked, most in ((maxmsg, "msg_max"), (msgsize, "msgsize_max")):
                if asked > limit(most):
                    reason = (
                        f"{asked} is more than fs.mqueue.{most}, {limit(most)}: "
                        f"sysctl fs.mqueue.{most}={asked}"
                    )
        elif number == errno.ENOSPC:
            reason = (
                f"there are fs.mqueue.queues_max, {limit('queues_max')}, message queues: unlink "
                "some (ls /dev/mqueue), or sysctl fs.mqueue.queues_max=1024"
            )
        elif number == errno.EMFILE:
            reason = (
                f"this user's queues would take more than RLIMIT_MSGQUEUE, {bytes_max()} bytes: "
                "ulimit -q, or LimitMSGQUEUE= of systemd (or too many files are open: ulimit -n)"
            )
    except OSError:
        pass  # without /proc the reason stands alone
    return OSError(number, reason, name)


def bytes_max() -> int:
    """How many bytes this user's queues may take in all."""
    return resource.getrlimit(resource.RLIMIT_MSGQUEUE)[0]
