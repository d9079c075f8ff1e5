"""The layout for a device where batching pays: by the measured cost of each batch bucket.

Beside `service.runner.plan`: buckets go further than a CPU's batches, and there are two lanes a
device, one of which is copied while the other is computed.
"""

import time
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np

from service.engines.base import Engine
from service.runner.plan import Layout

_REPEATS = 5


@runtime_checkable
class BucketedEngine(Engine, Protocol):
    """An engine with batch sizes of its own, on one or several devices."""

    @property
    def buckets(self) -> tuple[int, ...]:
        """Ascending."""
        ...

    @property
    def devices(self) -> int:
        """How many batches are computed at once."""
        ...

    @property
    def lanes(self) -> int:
        """How many may be under way, those included that are being copied."""
        ...


def measure_buckets(
    engine: BucketedEngine, shape: tuple[int, int, int], most_ms: float
) -> dict[int, float]:
    """Time a batch of each bucket, copies included, until one takes longer than `most_ms`.

    Args:
        engine: what to time.
        shape: height, width, 3.
        most_ms: milliseconds.

    Returns:
        Milliseconds by bucket, the median of five.
    """
    costs: dict[int, float] = {}
    for size in engine.buckets:
        batch = np.zeros((size, *shape), np.uint8)
        engine(batch)
        times = []
        for _ in range(_REPEATS):
            started = time.perf_counter()
            engine(batch)
            times.append(time.perf_counter() - started)
        costs[size] = float(np.median(times)) * 1000
        if costs[size] > most_ms:
            break
    return costs


def choose_bucket(costs: Mapping[int, float], lanes_a_device: int, most_ms: float) -> int:
    """The bucket with the most images a second among those that latency allows.

    A batch may have to wait for the one before it, which its device is computing: with two lanes
    it takes up to twice its own time.

    Args:
        costs: of `measure_buckets`.
        lanes_a_device: batches at the same time on one device.
        most_ms: the longest that a forward pass may take, waiting for another included.
    """
    allowed = [size for size, cost in costs.items() if lanes_a_device * cost <= most_ms]
    return min(allowed, key=lambda size: costs[size] / size) if allowed else min(costs)


def choose_device_layout(
    costs: Mapping[int, float], engine: BucketedEngine, cores: int, most_ms: float
) -> Layout:
    """A worker a core to decode, and one a lane, which mostly sleeps until its batch is done."""
    best = choose_bucket(costs, engine.lanes // engine.devices, most_ms)
    return Layout(
        cores + engine.lanes,
        lanes=engine.lanes,
        max_batch=best,
        overlapping=engine.lanes - engine.devices,
    )


def interval_s(
    costs: Mapping[int, float], layout: Layout, devices: int, preprocess_s: float, cores: int
) -> float:
    """Seconds between two answers under full load: of decoding and computing the slower one counts.

    Args:
        costs: milliseconds by bucket.
        layout: of `choose_device_layout`.
        devices: how many compute at once.
        preprocess_s: one image on one core.
        cores: that decode.
    """
    forward_s = costs[layout.max_batch] / layout.max_batch / devices / 1000
    return max(preprocess_s / cores, forward_s)
