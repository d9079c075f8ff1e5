"""Faults, injected while load runs: what is lost, what is wrong, how much memory it takes.

`python -m tests.faults` runs them all and writes reports/faults/; `test_main.py` runs short ones.
"""
