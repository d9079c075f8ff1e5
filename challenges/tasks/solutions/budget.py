"""Lesson 8: an objective, its error budget, and how fast the budget is used."""

from collections.abc import Sequence


# task: error-budget
def burn_rate(latencies_ms: Sequence[float | None], in_time_ms: float, objective: float) -> float:
    """How many times as fast as allowed the budget is used."""
    if not latencies_ms:
        raise ValueError("no requests: nothing is known")
    if objective >= 1:
        raise ValueError(f"an objective of {objective} leaves no budget; it must be below 1")
    late = [one for one in latencies_ms if one is None or one > in_time_ms]
    return len(late) / len(latencies_ms) / (1 - objective)


def days_left(left: float, rate: float, period_days: float = 30) -> float:
    """After how many days the budget is empty, if it is used at this burn rate."""
    return left * period_days / rate if rate else float("inf")
