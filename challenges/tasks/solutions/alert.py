"""Lesson 8: an alert on the confidences, the probabilities of the first classes."""

import math
from collections.abc import Sequence
from statistics import fmean, pstdev

LEAST_ANSWERS = 500
LIMIT = 4


# task: skew-alert
def should_fire(validated: Sequence[float], recent: Sequence[float]) -> bool:
    """Whether to wake somebody: the recent mean lies too far from the validated one."""
    if len(recent) < LEAST_ANSWERS:
        return False
    error = pstdev(validated) / math.sqrt(len(recent))
    return abs(fmean(recent) - fmean(validated)) > LIMIT * error
