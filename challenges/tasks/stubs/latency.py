"""Lesson 1: how long do the unlucky users wait?

A list has one entry for each request: its latency in milliseconds, or None if it failed (an error,
a refusal, no answer in time).

An example first, `mean`. It is easy to compute and hides two things: the slow answers, and the
users who got none.

    mean([10, 10, 10, None])  →  10.0, as if all were well
"""

import math
from collections.abc import Sequence

LEAST_BEYOND = 10


def mean(latencies_ms: Sequence[float | None]) -> float:
    """The mean of the requests that were answered."""
    answered = [one for one in latencies_ms if one is not None]
    return sum(answered) / len(answered)


def percentile(latencies_ms: Sequence[float | None], share: float = 99) -> tuple[float, int]:
    """The latency that `share` % of ALL requests do not exceed, and how many requests there were.

    - A request that failed counts as infinitely late (`math.inf`): its user waits for ever. If
      failed requests are left out, a service looks faster the more of them it refuses.
    - In the sorted list, the answer stands at place ceil(share × n / 100), counted from 1.
    - Few requests say nothing about the tail: the p99 of 100 requests is a single request. At least
      LEAST_BEYOND requests must come after the answer's place, so p99 needs 1,000 of them, which
      is 10 × 100 / (100 - 99), and p50 needs 20. If there are fewer, raise ValueError. Its message
      says how many are needed and how many there are.
    """
    raise NotImplementedError
