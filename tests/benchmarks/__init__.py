"""Measurements on this machine; `python -m tests.benchmarks` writes them into BENCHMARKS.md."""
