"""Lesson 8: an alert on the confidences, the probabilities of the first classes.

Nobody tells a service which of its answers were wrong. But it knows how sure it was when it was
validated, and how sure it is now. A mean that has moved farther than chance moves it means that
something has changed: the photos, or what happens to them on their way.

An example first, `mean_moved`, and why it is not enough: 0.05 is much for the mean of 10,000
answers, and nothing for the mean of 20.
"""

import math
from collections.abc import Sequence
from statistics import fmean, pstdev

LEAST_ANSWERS = 500
LIMIT = 4


def mean_moved(validated: Sequence[float], recent: Sequence[float]) -> bool:
    """Whether the mean moved by more than 0.05."""
    return abs(fmean(recent) - fmean(validated)) > 0.05


# task: skew-alert
def should_fire(validated: Sequence[float], recent: Sequence[float]) -> bool:
    """Whether to wake somebody: the recent mean lies too far from the validated one.

    - The mean of n answers scatters by the standard error: the deviation of single answers
      (`pstdev(validated)`) divided by the square root of n. Here n is the number of recent answers.
    - Fire if the means differ by more than LIMIT standard errors, up or down. (By chance alone this
      happens about 6 times in 100,000.)
    - Fewer than LEAST_ANSWERS recent answers: do not fire. Wait for more.
    """
    raise NotImplementedError
