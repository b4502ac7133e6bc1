"""Which modules of `test.test_asyncio` are run, and which of them need no event loop."""

import importlib.util
import unittest

PACKAGE = "test.test_asyncio"

# Longest first, so that two jobs finish at about the same time.
NAMES = (
    "test_tasks", "test_subprocess", "test_ssl", "test_events", "test_sslproto",
    "test_sock_lowlevel", "test_sendfile", "test_base_events", "test_futures", "test_streams",
    "test_locks", "test_unix_events", "test_free_threading", "test_server", "test_runners",
    "test_taskgroups", "test_timeouts", "test_waitfor", "test_context", "test_queues",
    "test_eager_task_factory", "test_threads", "test_staggered", "test_buffered_proto",
    "test_futures2", "test_pep492", "test_protocols", "test_transports", "test_server_context",
)  # fmt: skip

# Their subject is not a loop that could be replaced: the two loops of asyncio, by mocks; Windows;
# call graphs and the command line that prints them.
RULED_OUT = (
    "test_selector_events", "test_proactor_events", "test_windows_events", "test_windows_utils",
    "test_graph", "test_tools",
)  # fmt: skip

# In every other module a run that made no loop by the factory tested nothing, and is an error.
# `test_futures` tests futures, on a loop of mocks with a clock of its own.
WITHOUT_LOOPS = frozenset({"test_futures", "test_protocols", "test_transports"})


def suite_is_installed() -> bool:
    """Distributions often put CPython's tests into a package of their own."""
    return (
        importlib.util.find_spec("test") is not None
        and importlib.util.find_spec(PACKAGE) is not None
    )


def present() -> list[str]:
    """The modules this Python version has, longest first."""
    return [name for name in NAMES if importlib.util.find_spec(f"{PACKAGE}.{name}") is not None]


def short_id(test: unittest.TestCase) -> str:
    """A test's id without the package, as reports, patterns and lists write it."""
    return test.id().removeprefix(f"{PACKAGE}.")
