"""The score: 100 points for all criteria, and more for results beyond the target.

Three things count beyond the target, each continuous and bounded:

- throughput: 10 points for each doubling of the target rate at which p99 still holds, at most 20;
- p99 at the target rate: 10 points times the unused share of 50 ms;
- correctness: 5 points times the unused share of the tolerance for probabilities.

They count only if the answers and the load are passed, so wrong or missing answers gain nothing. A
quick grade takes no steps beyond the target, so its score has no throughput in it.
"""

import math
from collections.abc import Sequence

from challenges.minimal_service.grading.criteria.load import STEPS, TARGET_MS
from challenges.minimal_service.grading.measuring.oracle import MOST_MEDIAN
from challenges.minimal_service.grading.verdict import CriterionResult

POINTS_A_DOUBLING = 10.0
MOST_DOUBLINGS = math.log2(STEPS[-1])
POINTS_P99 = 10.0
POINTS_CORRECTNESS = 5.0
MOST = 100 + POINTS_A_DOUBLING * MOST_DOUBLINGS + POINTS_P99 + POINTS_CORRECTNESS
"""The highest score."""


def score(criteria: Sequence[CriterionResult]) -> float:
    """Return the sum of the points, plus those beyond the target."""
    by_id = {result.id: result for result in criteria}
    points = sum(result.points for result in criteria)
    answers, load = by_id.get("answers"), by_id.get("load")
    if answers and load and answers.status == load.status == "passed":
        points += beyond(
            rate=load.measured["rate_per_s"],
            held=load.measured.get("held_per_s", load.measured["rate_per_s"]),
            p99_ms=load.measured["p99_ms"],
            difference=answers.measured["median_difference"],
        )
    return round(points, 1)


def beyond(rate: float, held: float, p99_ms: float, difference: float) -> float:
    """Return the points for results beyond the target, 0 to `MOST` - 100.

    Args:
        rate: requests per second that are asked for.
        held: rate up to which p99 stays under 50 ms.
        p99_ms: at `rate`.
        difference: median difference of the probabilities from the model's.
    """
    doublings = min(max(0.0, math.log2(max(held, rate) / rate)), MOST_DOUBLINGS)
    free = min(max(0.0, 1 - p99_ms / TARGET_MS), 1.0)
    close = min(max(0.0, 1 - difference / MOST_MEDIAN), 1.0)
    return POINTS_A_DOUBLING * doublings + POINTS_P99 * free + POINTS_CORRECTNESS * close
