"""Tests of CPython that asyncio's selector loop passes and zcloop does not.

There are at most ten, each with its reason. `test_lists.py` checks that, and that each exists.
Tests of the inside of asyncio's own classes belong in `harness/internals.py`, with proof.
"""

from typing import NamedTuple

ENTRIES_MAX = 10


class Skip(NamedTuple):
    """Why a test is not run, and the Python versions whose suite has it."""

    reason: str
    versions: tuple[str, ...]


SKIPS: dict[str, Skip] = {
    "test_subprocess.GenericWatcherTests.test_create_subprocess_fails_with_inactive_watcher": Skip(
        "asks that the policy's child watcher be consulted, which Python 3.14 has removed: zcloop "
        "waits for each child by its pidfd and needs no watcher, active or not",
        ("3.11", "3.12", "3.13"),
    ),
    "test_sslproto.SslProtoHandshakeTests.test_connection_lost_when_busy": Skip(
        "its socket is a mock whose send() must be called, and fail, within write(): the selector "
        "transport does that, while zcloop's write() makes the system call itself",
        ("3.14",),
    ),
}
