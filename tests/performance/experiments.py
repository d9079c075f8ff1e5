"""What is measured of a server under load. Every figure is of answers that were right."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np

from challenges.load.arrivals import Arrivals
from challenges.load.generator import Target
from challenges.load.observations import Observations
from tests.performance.traffic import Traffic

TARGET_MS = 50.0
TRIES = 2
"""A rate counts as too high if it was too high so often: other tenants' noise is no verdict."""


class NoFigureError(Exception):
    """What was measured is no measurement of the server."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server and how its answers are checked."""

    name: str
    target: Target
    traffic: Traffic
    is_right: Callable[[int, bytes], bool]

    def load(self, rate: float, seconds: float, arrivals: Arrivals, seed: int = 0) -> Observations:
        """Send and check.

        Raises:
            NoFigureError: an answer was wrong, or the generator was the bottleneck three times.
        """
        for _ in range(3):
            seen = self.traffic.send(self.target, rate, seconds, arrivals, seed)
            if seen.bottleneck() is None:
                break
        else:
            raise NoFigureError(f"at {rate:.0f}/s {seen.bottleneck()}")
        if wrong := seen.wrong(self.is_right):
            raise NoFigureError(f"at {rate:.0f}/s {wrong} answers were wrong")
        return seen


def saturation(server: Server, rate: float, seconds: float) -> float:
    """Answers a second while more come than can be answered."""
    seen = server.load(rate, seconds, "constant")
    done = np.sort(seen.done[seen.ok & (seen.done <= seconds)])
    first, last = int(0.15 * len(done)), len(done) - 1
    return float((last - first) / (done[last] - done[first])) if len(done) > 20 else 0.0


def keeps_target(server: Server, rate: float, seconds: float, arrivals: Arrivals) -> bool:
    """Whether p99 < 50 ms and every request was answered, in one of `TRIES`."""
    for seed in range(TRIES):
        seen = server.load(rate, seconds, arrivals, seed)
        if seen.ok.all() and seen.percentile(99) < TARGET_MS:
            return True
    return False


def highest_rate(server: Server, most: float, seconds: float, arrivals: Arrivals) -> float:
    """The highest rate that keeps the target, by bisection to 1/32 of `most`; 0 for none."""
    low, high = 0.0, most
    for _ in range(5):
        middle = (low + high) / 2
        if keeps_target(server, middle, seconds, arrivals):
            low = middle
        else:
            high = middle
    return low


class Highest:
    """The highest of a value that is read every two seconds while the block runs."""

    def __init__(self, read: Callable[[], float]) -> None:
        self._read = read
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.first = self.highest = read()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(2):
            self.highest = max(self.highest, self._read())


@dataclass(frozen=True, slots=True)
class Overload:
    """Three times as much as can be answered, then a normal load."""

    goodput: float
    """Right answers a second."""
    accepted_p99_ms: float
    """p99 of the answered requests."""
    refused_p99_ms: float
    """p99 of the refusals; NaN if there were none."""
    lost: int
    """Requests without any answer."""
    recovery_s: float
    """From the end of the overload until requests are answered within 50 ms for good. What was let
    in must be done before the calm load comes, so that time counts too."""


def overload(server: Server, peak: float, seconds: float, after_s: float) -> Overload:
    """Load with 3 × `peak` for `seconds`, then with 50/s for `after_s`."""
    seen = server.load(3 * peak, seconds, "poisson")
    calm = server.load(50, after_s, "constant")
    ok = seen.ok
    refused = (seen.status != 200) & (seen.status != 0)
    inside = seen.done <= seconds
    late = ~calm.ok | (calm.latency_ms >= TARGET_MS)
    return Overload(
        goodput=float((ok & inside).sum() / seconds),
        accepted_p99_ms=_p99(seen.latency_ms[ok]),
        refused_p99_ms=_p99(seen.latency_ms[refused]),
        lost=int((seen.status == 0).sum()),
        recovery_s=max(0.0, float(seen.done.max()) - seconds) + _settled(calm.due, late),
    )


def _p99(values: np.ndarray) -> float:
    return float(np.percentile(values, 99)) if len(values) else float("nan")


def _settled(due: np.ndarray, late: np.ndarray) -> float:
    """The moment from which on at most 1 % are late; infinity if that never comes.

    One straggler in a hundred is noise; overload that lingers is not.
    """
    for first in range(len(due)):
        if late[first:].mean() <= 0.01:
            return float(due[first])
    return float("inf")
