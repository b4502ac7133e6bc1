"""Runs CPython's own asyncio tests with any event loop in place of the selector loop."""
