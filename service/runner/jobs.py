"""A request inside the runner, its answer, and the counters of what became of all requests."""

import asyncio
from bisect import bisect_left
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal

from service.engines.base import Image, Probabilities

BUCKETS_S = (0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.035, 0.04, 0.045, 0.05,
             0.06, 0.08, 0.1, 0.15, 0.2, 0.5, 1.0, 2.5, 10.0)  # fmt: skip
"""Histogram bounds in seconds, dense around the 50 ms target."""
STAGE_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
BATCH_BUCKETS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
IMAGE_BUCKETS_BYTES = tuple(2.0**power for power in range(14, 25))
STAGES = ("read", "queue", "preprocess", "forward", "serialise")
"""Where the time of an answered request goes; the runner measures the three in the middle."""
STATUSES = (200, 400, 401, 404, 405, 408, 413, 415, 422, 431, 500, 503)
REFUSALS = {
    "bad_http": "client", "bad_request": "client", "no_key": "client", "no_route": "client",
    "slow_body": "client", "body_too_large": "client", "bad_image": "client",
    "image_too_large": "client", "unsupported_type": "client", "left": "client",
    "overload": "load", "deadline": "load", "connections": "load",
    "stopping": "service", "device_lost": "service", "error": "service",
}  # fmt: skip
"""Why a request got no prediction → whose matter it is: the client's, the load's, the service's."""


Outcome = Literal["answered", "failed", "expired", "left"]
"""What can become of a request that was let in; each has a counter of its name."""


@dataclass(frozen=True, slots=True)
class Inference:
    """The answer for one image, and where its time went."""

    probabilities: Probabilities
    """float32, classes."""
    timing_ms: dict[str, float]
    """"queue": waiting, "preprocess": bytes to pixels, "forward": on the device."""


@dataclass(slots=True)
class RequestRecord:
    """What is noted of one HTTP request for log, metrics and traces: made by `web/edge.py`.

    Times are seconds of `time.perf_counter`, or 0 as long as the request has not come so far.
    """

    id: str
    began: float
    read: float = 0.0
    """When the runner got its first image."""
    forwarded: float = 0.0
    """When the forward pass of its last image ended."""
    refusal: str = ""
    """A key of `REFUSALS`, or "" for none that is known."""
    span: Any = None
    """The span of the request, where requests are traced."""


RECORD: ContextVar[RequestRecord | None] = ContextVar("record", default=None)
"""The record of the request that the current task answers."""


def note_refusal(reason: str) -> None:
    """Note why the current request is refused: a key of `REFUSALS`."""
    record = RECORD.get()
    if record is not None:
        record.refusal = reason


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
    record: RequestRecord | None = None
    """The HTTP request that the image came with."""


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
    """Values by bucket: durations in seconds, unless other bounds are given."""

    bounds: tuple[float, ...] = BUCKETS_S
    counts: list[int] = field(init=False)
    """One count a bucket; the last bucket holds what is above all bounds."""
    sum: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


def _stages() -> dict[str, Histogram]:
    return {stage: Histogram(STAGE_BUCKETS_S) for stage in STAGES}


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
    """From admission to answer, answered images only."""
    stages: dict[str, Histogram] = field(default_factory=_stages)
    """Answered images; "read" and "serialise": the requests that they came with."""
    batch_sizes: Histogram = field(default_factory=lambda: Histogram(BATCH_BUCKETS))
    image_bytes: Histogram = field(default_factory=lambda: Histogram(IMAGE_BUCKETS_BYTES))
    """Sizes of the image files that were let in."""
    answers_s: Histogram = field(default_factory=Histogram)
    """From a request's head to its answer handed to the system, predictions only."""
    statuses: dict[int, int] = field(default_factory=lambda: dict.fromkeys((*STATUSES, 0), 0))
    """Answers by HTTP status, without probes; 0: another status."""
    refusals: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REFUSALS, 0))
    loop_lag: Histogram = field(default_factory=lambda: Histogram(STAGE_BUCKETS_S))
    """Seconds that the event loop came too late to a timer."""

    @property
    def inside(self) -> int:
        """Requests that wait or are worked on."""
        return self.admitted - self.answered - self.failed - self.expired - self.left
