"""A request inside the runner, its answer, and the counters of what became of all requests."""

import asyncio
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Literal

from service.engines.base import Image, Probabilities

BUCKETS_S = (0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.035, 0.04, 0.045, 0.05,
             0.06, 0.08, 0.1, 0.15, 0.2, 0.5, 1.0, 2.5, 10.0)  # fmt: skip
"""Histogram bounds in seconds, dense around the 50 ms target."""


Outcome = Literal["answered", "failed", "expired", "left"]
"""What can become of a request that was let in; each has a counter of its name."""


@dataclass(frozen=True, slots=True)
class Inference:
    """The answer for one image, and where its time went."""

    probabilities: Probabilities
    """float32, classes."""
    timing_ms: dict[str, float]
    """"queue": waiting, "preprocess": bytes to pixels, "forward": on the device."""


@dataclass(slots=True, eq=False)
class Job:
    """One request inside the runner. Times are seconds of `time.perf_counter`."""

    data: bytes
    """The image file; empty once it is prepared."""
    future: "asyncio.Future[Inference]"
    arrived: float
    order: float
    """Sort key of the queue: the smallest goes first."""
    deadline: float
    strict: bool
    """Whether the client set the deadline: then it holds whatever the time was spent on."""
    image: Image = field(init=False)
    """The prepared image."""
    preprocess_s: float = 0.0
    timer: asyncio.TimerHandle | None = None
    """Ends the job when its deadline passes."""
    begun: bool = False
    """Whether a worker has taken it."""
    ended: bool = False
    """Whether it was counted: answered, failed, expired or left."""


def sort_key(job: Job) -> float:
    """Return the sort key of the queue."""
    return job.order


def settle(future: "asyncio.Future[Inference]", result: Inference | Exception) -> None:
    """Hand the result to the request, if it still waits. Runs in the event loop."""
    if future.done():
        return  # cancelled: the client left
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)


@dataclass(slots=True)
class Histogram:
    """Durations by bucket."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    """One count a bucket; the last bucket holds what is above all bounds."""
    sum_s: float = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(BUCKETS_S, seconds)] += 1
        self.sum_s += seconds


@dataclass(slots=True)
class Counters:
    """Counts since the start. admitted = answered + failed + expired + left + still inside."""

    refused: int = 0
    """Not let in (503), because they could not have been answered in time."""
    admitted: int = 0
    answered: int = 0
    failed: int = 0
    """The image could not be preprocessed, or its forward pass failed."""
    expired: int = 0
    """Dropped because their deadline passed while they waited (503)."""
    left: int = 0
    """Dropped because the client had gone."""
    batches: int = 0
    """Forward passes, without those that repeat the images of a failed batch one by one."""
    images: int = 0
    """Images in these forward passes."""
    latency: Histogram = field(default_factory=Histogram)
    """From admission to answer, answered requests only."""

    @property
    def inside(self) -> int:
        """Requests that wait or are worked on."""
        return self.admitted - self.answered - self.failed - self.expired - self.left
