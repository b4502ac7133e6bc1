"""Tests that asyncio passes and zcloop does not, each with its reason.

Only mocks of asyncio's own classes and methods belong here. A name is the suite's, a colon and
pytest's id, with or without its parameters. `run.py` fails on an entry whose test passes.
"""

KNOWN: dict[str, str] = {
    "aiohttp:tests/test_web_functional.py::test_keepalive_expires_on_time": (
        "puts a mock in place of the loop's time() and expects the loop's own timers to go by it: "
        "asyncio's turn, which is Python, calls that method, zcloop's reads the clock itself"
    ),
}
