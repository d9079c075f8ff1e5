"""Benchmark the service on a GPU: `python -m tests.performance.gpu` (make bench-gpu)."""
