"""What became of the requests: counted once, read by /metrics and the tests."""

from bisect import bisect_left
from dataclasses import dataclass, field

BUCKETS_S = (0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.035, 0.04, 0.045, 0.05,
             0.06, 0.08, 0.1, 0.15, 0.2, 0.5, 1.0, 2.5, 10.0)  # fmt: skip
"""Upper ends in seconds: close together below and at the 50 ms that it is all about."""


@dataclass(slots=True)
class Histogram:
    """Durations, by bucket."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    """One a bucket; the last holds what is over all of them."""
    sum_s: float = 0.0

    def observe(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(BUCKETS_S, seconds)] += 1
        self.sum_s += seconds


@dataclass(slots=True)
class Counters:
    """Since the start. admitted = answered + failed + expired + left + those still inside."""

    refused: int = 0
    """Turned away at the door (503): they could not have been answered in time."""
    admitted: int = 0
    answered: int = 0
    failed: int = 0
    """The image could not be preprocessed, or its forward pass failed."""
    expired: int = 0
    """Dropped because their deadline passed while they waited (503)."""
    left: int = 0
    """Dropped because nobody waited for the answer any more."""
    batches: int = 0
    """Forward passes, not counting those that a failed batch's images are tried in alone."""
    images: int = 0
    """Images in them."""
    latency: Histogram = field(default_factory=Histogram)
    """From a request's admission to its answer, of those answered."""

    @property
    def inside(self) -> int:
        """Requests that are waiting or worked on."""
        return self.admitted - self.answered - self.failed - self.expired - self.left
