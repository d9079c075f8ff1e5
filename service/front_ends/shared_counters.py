"""Share the counters of all processes, so that any front end can answer /metrics for all.

Each process writes its own row several times a second, and the reader adds up the rows.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, fields, is_dataclass
from typing import Any

import numpy as np

from service.front_ends.channel import SharedArray
from service.gpu.metrics import DeviceTime
from service.runner.jobs import Counters

PUBLISH_S = 0.25
"""Seconds between two updates of a process's row."""


def flatten(counted: Any) -> list[float]:
    """Return all numbers in counters, in a fixed order. Bounds of histograms (tuples) are left."""
    if is_dataclass(counted):
        return [n for field in fields(counted) for n in flatten(getattr(counted, field.name))]
    if isinstance(counted, dict | list):
        values = counted.values() if isinstance(counted, dict) else counted
        return [number for value in values for number in flatten(value)]
    return [] if isinstance(counted, tuple) else [float(counted)]


def fill(counted: Any, numbers: Iterator[float]) -> Any:
    """Return counters with their numbers replaced by `numbers`, in the order of `flatten`."""
    if is_dataclass(counted):
        for field in fields(counted):
            setattr(counted, field.name, fill(getattr(counted, field.name), numbers))
        return counted
    if isinstance(counted, dict):
        return {key: fill(value, numbers) for key, value in counted.items()}
    if isinstance(counted, list):
        return [fill(value, numbers) for value in counted]
    return counted if isinstance(counted, tuple) else type(counted)(next(numbers))


class SharedCounters:
    """Counters, a row for each front end, and times, a row for each device and batch bucket."""

    def __init__(self, front_ends: int, buckets: Sequence[tuple[str, int]]) -> None:
        """Create the memory; `buckets` are pairs of device and batch size."""
        self._counters = SharedArray((front_ends, len(flatten(Counters()))), np.float64)
        self._times = SharedArray((len(buckets), len(fields(DeviceTime))), np.float64)
        self._buckets = list(buckets)

    def publish_counters(self, number: int, own: Counters) -> None:
        """Write the counters of front end `number`."""
        self._counters.array[number] = flatten(own)

    def sum_counters(self) -> Counters:
        """Return the sum of the counters of all front ends."""
        total: Counters = fill(Counters(), iter(self._counters.array.sum(axis=0).tolist()))
        return total

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
