"""A request inside the runner, and what becomes of it."""

import asyncio
from dataclasses import dataclass, field

from service.engines.base import Probabilities
from service.preprocessing import Pixels


@dataclass(frozen=True, slots=True)
class Inference:
    """The answer for one image, and where its time went."""

    probabilities: Probabilities
    """float32, classes."""
    timing_ms: dict[str, float]
    """"queue": waiting, "preprocess": bytes to pixels, "forward": on the device."""


@dataclass(slots=True, eq=False)
class Job:
    """One request inside the runner. Times are perf_counter's, in seconds."""

    image: bytes
    future: "asyncio.Future[Inference]"
    arrived: float
    order: float
    """The earliest first."""
    deadline: float
    strict: bool
    """The deadline is the client's own: it holds whatever the time was spent on."""
    pixels: Pixels = field(init=False)
    preprocess_s: float = 0.0


def order_of(job: Job) -> float:
    """What the queue is sorted by."""
    return job.order


def settle(future: "asyncio.Future[Inference]", result: Inference | Exception) -> None:
    """In the event loop: hand the result to who waits for it, if anybody still does."""
    if future.done():
        return  # cancelled: the client left
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
