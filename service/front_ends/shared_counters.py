"""Share the counters of all processes, so that any front end can answer /metrics for all.

Each process writes its own row several times a second, and the reader adds up the rows.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, fields

import numpy as np

from service.front_ends.channel import SharedArray
from service.gpu.metrics import DeviceTime
from service.runner.jobs import BUCKETS_S, Counters, Histogram

PUBLISH_S = 0.25
"""Seconds between two updates of a process's row."""
_COUNTS = tuple(field.name for field in fields(Counters) if field.name != "latency")
_COLUMNS = len(_COUNTS) + len(BUCKETS_S) + 2
"""Columns of a row: the counts, those of the latency's buckets, and the latency's sum."""


class SharedCounters:
    """Counters, a row for each front end, and times, a row for each device and batch bucket."""

    def __init__(self, front_ends: int, buckets: Sequence[tuple[str, int]]) -> None:
        """Create the memory; `buckets` are pairs of device and batch size."""
        self._counters = SharedArray((front_ends, _COLUMNS), np.float64)
        self._times = SharedArray((len(buckets), len(fields(DeviceTime))), np.float64)
        self._buckets = list(buckets)

    def publish_counters(self, number: int, own: Counters) -> None:
        """Write the counters of front end `number`."""
        counts = [float(getattr(own, name)) for name in _COUNTS]
        self._counters.array[number] = [*counts, *own.latency.counts, own.latency.sum_s]

    def sum_counters(self) -> Counters:
        """Return the sum of the counters of all front ends."""
        row = self._counters.array.sum(axis=0)
        counts = [int(count) for count in row[:-1]]
        latency = Histogram(counts[len(_COUNTS) :], float(row[-1]))
        return Counters(**dict(zip(_COUNTS, counts, strict=False)), latency=latency)

    def publish_times(self, times: Mapping[tuple[str, int], DeviceTime]) -> None:
        """Write the times of the devices."""
        for row, key in zip(self._times.array, self._buckets, strict=True):
            row[:] = astuple(times[key])

    def read_times(self) -> dict[tuple[str, int], DeviceTime]:
        """Return the time on each device since the start, by device and bucket."""
        return {
            key: DeviceTime(int(batches), int(images), float(seconds))
            for key, (batches, images, seconds) in zip(
                self._buckets, self._times.array, strict=True
            )
        }


def publish_regularly(publish: Callable[[], None]) -> None:
    """Call `publish` every `PUBLISH_S` in a thread, as long as the process lives."""

    def repeat() -> None:
        pause = threading.Event()
        while not pause.wait(PUBLISH_S):
            publish()

    threading.Thread(target=repeat, name="shared-counters", daemon=True).start()
