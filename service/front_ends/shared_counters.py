"""Figures that all processes of a service see, so that any of them can answer /metrics for all.

Each writes its own row, a few times a second, and whoever is asked adds them up.
"""

import mmap
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from service.runner.counters import BUCKETS_S, Counters, Histogram

if TYPE_CHECKING:
    from service.gpu.staging import DeviceTime

PUBLISH_S = 0.25
"""So old is what others have of a process, at most."""
_COUNTS = tuple(field.name for field in fields(Counters) if field.name != "latency")
_COLUMNS = len(_COUNTS) + len(BUCKETS_S) + 2
_TIMES = 3

Table = npt.NDArray[np.float64]


class Time(NamedTuple):
    """As `engines.staging.DeviceTime`, which a front end cannot import: it has no torch."""

    batches: int
    images: int
    seconds: float


class Board:
    """Counters, a row a front end, and times, a row a device and batch bucket."""

    def __init__(self, memory: int, front_ends: int, buckets: Sequence[tuple[str, int]]) -> None:
        """Map the memory, whose file descriptor may be closed then."""
        view = mmap.mmap(memory, self.bytes(front_ends, buckets))
        self._counters: Table = np.ndarray((front_ends, _COLUMNS), np.float64, view)
        self._times: Table = np.ndarray(
            (len(buckets), _TIMES), np.float64, view, self._counters.nbytes
        )
        self._buckets = [(device, size) for device, size in buckets]

    @staticmethod
    def bytes(front_ends: int, buckets: Sequence[tuple[str, int]]) -> int:
        """What the memory must have."""
        return 8 * (front_ends * _COLUMNS + len(buckets) * _TIMES)

    def publish_counters(self, number: int, own: Counters) -> None:
        """Those of one front end."""
        counts = [float(getattr(own, name)) for name in _COUNTS]
        self._counters[number] = [*counts, *own.latency.counts, own.latency.sum_s]

    def all_counters(self) -> Counters:
        """Of all front ends together."""
        row = self._counters.sum(axis=0)
        counts = [int(count) for count in row[:-1]]
        latency = Histogram(counts[len(_COUNTS) :], float(row[-1]))
        return Counters(**dict(zip(_COUNTS, counts, strict=False)), latency=latency)

    def publish_times(self, times: "Mapping[tuple[str, int], DeviceTime]") -> None:
        """Those of the engine."""
        for row, key in zip(self._times, self._buckets, strict=True):
            row[:] = (times[key].batches, times[key].images, times[key].seconds)

    def times(self) -> dict[tuple[str, int], Time]:
        """Time on each device since the start, by device and bucket."""
        return {
            key: Time(int(row[0]), int(row[1]), float(row[2]))
            for key, row in zip(self._buckets, self._times, strict=True)
        }


def publish_regularly(publish: Callable[[], None]) -> None:
    """In a thread of its own, for as long as the process lives."""

    def again_and_again() -> None:
        rest = threading.Event()
        while not rest.wait(PUBLISH_S):
            publish()

    threading.Thread(target=again_and_again, name="board", daemon=True).start()
