"""Benchmarks: one event loop against others, by server CPU per operation (see README.md)."""
