"""Tests that are about the inside of asyncio's own loop classes, and the proof of it.

Such a test replaces a module inside `asyncio.unix_events`, reads the selector, or calls a private
method, so that no loop of another class can pass it, however well it behaves. Nothing is taken on
trust: a test is left out only if its id matches the pattern *and* its own source (or the `setUp` of
its class) contains what the entry says it touches. The other tests of the same classes are run.
"""

import inspect
import re
import unittest
from dataclasses import dataclass
from fnmatch import fnmatchcase

from harness.modules import short_id


@dataclass(frozen=True)
class Internals:
    """`touches` is a regular expression that must be found in the source of the test."""

    pattern: str
    touches: str
    reason: str
    since: tuple[int, int] = (3, 11)  # the first Python whose suite has such a test

    def covers(self, test: unittest.TestCase) -> bool:
        return (
            fnmatchcase(short_id(test), self.pattern)
            and re.search(self.touches, _source(test)) is not None
        )


ENTRIES = (
    Internals(
        "test_unix_events.SelectorEventLoopSignalTests.*",
        r"unix_events\.signal|loop\._(check_signal|handle_signal|signal_handlers)",
        "puts a mock in place of the signal module of asyncio.unix_events, or reads the handler "
        "table of that class",
    ),
    Internals(
        "test_unix_events.SelectorEventLoopUnixSockSendfileTests.*",
        r"unix_events\.os|_sock_sendfile_native_impl",
        "calls the selector loop's step of sendfile with registrations of its selector, or hides "
        "os.sendfile from asyncio.unix_events",
    ),
    Internals(
        "test_unix_events.SelectorEventLoopUnixSocketTests.test_create_unix_server_bind_error",
        r"unix_events\.socket",
        "the error comes from a mock in place of the socket module of asyncio.unix_events",
    ),
    Internals(
        "test_events.*.test_internal_fds",
        r"_internal_fds",
        "counts the file descriptors of the self-pipe; skips itself for any other loop",
    ),
    Internals(
        "test_events.*.test_timeout_rounding",
        r"_run_once_counter",
        "counts the calls of BaseEventLoop._run_once and reads _selector",
    ),
    Internals(
        "test_events.*.test_call_soon_threadsafe_handle_*",
        r"events\._ThreadSafeHandle",
        "asks that the handle be of asyncio's private class; what it promises is tested in "
        "tests/unit/loop/test_threadsafe.py",
        since=(3, 14),
    ),
    Internals(
        "test_subprocess.Subprocess*WatcherTests.*",
        r"loop\._watcher",
        "asks the class of the child watcher that asyncio's own loop carries since 3.14",
        since=(3, 14),
    ),
    Internals(
        "test_ssl.TestSSL.test_remote_shutdown_receives_trailing_data_on_slow_socket",
        r"socket_transport\._(read_ready_cb|sock)\b",
        "puts a socket of its own into _SelectorSocketTransport, whose _read_ready_cb it reads",
        since=(3, 14),
    ),
    Internals(
        "test_base_events.BaseEventLoopWithSelectorTests.test_accept_connection_*",
        r"loop\._accept_connection",
        "calls BaseSelectorEventLoop._accept_connection with a mocked socket",
    ),
    Internals(
        "test_base_events.BaseLoopSockSendfileTests.*",
        r"BaseSelectorEventLoop\(\)",
        "makes a BaseSelectorEventLoop itself, to reach the fallback of BaseEventLoop",
    ),
)


def is_internal(test: unittest.TestCase) -> bool:
    """Whether this test can only be about asyncio's own loops."""
    return any(entry.covers(test) for entry in ENTRIES)


def _source(test: unittest.TestCase) -> str:
    method = getattr(test, test._testMethodName)
    return inspect.getsource(method) + inspect.getsource(type(test).setUp)
