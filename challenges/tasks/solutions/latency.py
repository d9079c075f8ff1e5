"""Lesson 1: how long do the unlucky users wait?"""

import math
from collections.abc import Sequence

LEAST_BEYOND = 10


def percentile(latencies_ms: Sequence[float | None], share: float = 99) -> tuple[float, int]:
    """The latency that `share` % of all requests do not exceed, and how many there were."""
    needed = math.ceil(LEAST_BEYOND * 100 / (100 - share))
    if len(latencies_ms) < needed:
        raise ValueError(f"p{share:g} needs {needed} requests; there are {len(latencies_ms)}")
    waits = sorted(math.inf if one is None else one for one in latencies_ms)
    return waits[math.ceil(share * len(waits) / 100) - 1], len(waits)
