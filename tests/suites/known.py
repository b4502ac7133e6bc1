"""Tests that asyncio passes and zcloop does not, each with its reason.

Only mocks of asyncio's own classes belong here: there is none as yet. A name is the suite's, a
colon and pytest's id, with or without its parameters. `run.py` fails on an entry whose test passes.
"""

KNOWN: dict[str, str] = {}
