"""Benchmarks: figures as ratios in one run. They are run by `make bench`, never by `make test`."""
