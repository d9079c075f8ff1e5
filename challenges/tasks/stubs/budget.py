"""Lesson 8: an objective, its error budget, and how fast the budget is used.

An objective says: of all requests, the share `objective` (0.99) is answered within `in_time_ms`. So
the share 1 - objective (1 of 100) may be late. That is the error budget.

An example first, `allowed`: of 2,000 requests, 20 may be late.
"""

from collections.abc import Sequence


def allowed(requests: int, objective: float) -> float:
    """How many of the requests may be late."""
    return requests * (1 - objective)


# task: error-budget
def burn_rate(latencies_ms: Sequence[float | None], in_time_ms: float, objective: float) -> float:
    """How many times as fast as allowed the budget is used.

    The share of late requests, divided by the share that may be late. 1: the budget is used up at
    the end of the period, exactly. 10: after a tenth of it.

    - A request that failed has the latency None. It is late, whatever its time was.
    - A request that took exactly `in_time_ms` is in time.
    - No requests, or an objective of 1 or more, which leaves no budget: raise ValueError.
    """
    raise NotImplementedError


def days_left(left: float, rate: float, period_days: float = 30) -> float:
    """After how many days the budget is empty, if it is used at this burn rate.

    - `left` is the share of the budget that is left, 0 to 1. At rate 1, all of it lasts for the
      period.
    - At rate 0 it lasts for ever: `float("inf")`.
    """
    raise NotImplementedError
