"""The plan for GPUs: batches as large as the measured cost of each batch bucket allows.

Unlike on a CPU (`service.runner.plan`), batches go up to 128 images, and each device has two lanes:
one batch is copied while the other is computed.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

import numpy as np

from service.engines.base import Engine, Image
from service.gpu.engine import DeviceEngine
from service.gpu.metrics import collect_gpu_metrics
from service.machine import available_cores
from service.preprocessing import PreprocessingSettings, preprocess
from service.runner.plan import Layout, Plan, measure_preprocessing
from service.settings import Settings

_REPEATS = 5


class BucketedEngine(Engine, Protocol):
    """An engine with batch sizes of its own, on one or several devices."""

    @property
    def buckets(self) -> tuple[int, ...]:
        """Batch sizes, ascending."""
        ...

    @property
    def devices(self) -> int:
        """How many batches are computed at once."""
        ...

    @property
    def lanes(self) -> int:
        """How many batches may be under way, those included that are being copied."""
        ...


def make_plan(
    engine: DeviceEngine,
    reload: Callable[[int], Engine],  # noqa: ARG001: the device's threads need no fitting
    preprocessing: PreprocessingSettings,
    photos: Sequence[bytes],
    settings: Settings,
) -> Plan:
    """Measure each batch bucket and choose the largest that latency allows.

    The arguments are those of `service.runner.plan.make_plan`.
    """
    cores, side = available_cores(), preprocessing.crop
    most_ms = settings.target_ms / 2  # the rest is for waiting and preprocessing
    costs = measure_buckets(engine, (side, side, 3), most_ms)
    layout = choose_device_layout(costs, engine, cores, most_ms)
    preprocess_s = measure_preprocessing(photos, preprocessing)
    served, prepare = _choose_decoder(engine, preprocessing, settings)
    return Plan(
        engine=served,
        prepare=prepare,
        layout=layout,
        threads=settings.threads or 1,
        costs_ms=costs,
        service_s=preprocess_s + costs[1] / 1000,
        interval_s=interval_s(costs, layout, engine.devices, preprocess_s, cores),
        metrics=collect_gpu_metrics(engine),
        check_health=engine.check_health,
    )


def _choose_decoder(
    engine: DeviceEngine, preprocessing: PreprocessingSettings, settings: Settings
) -> tuple[Engine, Callable[[bytes], Image]]:
    """Return what the runner runs, and what it does to each file first."""
    most = settings.max_pixels
    if settings.decode == "cpu":
        return engine, partial(preprocess, settings=preprocessing, max_pixels=most)
    from service.gpu.jpeg import BatchDecoding

    decoding = BatchDecoding(engine, preprocessing, most)
    return decoding, decoding.check


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
    """Choose the bucket with the most images a second among those that latency allows.

    A batch may have to wait for the one before it, which its device is computing: with two lanes
    it takes up to twice its own time.

    Args:
        costs: milliseconds by bucket, as `measure_buckets` returns them.
        lanes_a_device: batches at the same time on one device.
        most_ms: the longest that a forward pass may take, waiting for another included.
    """
    allowed = [size for size, cost in costs.items() if lanes_a_device * cost <= most_ms]
    return min(allowed, key=lambda size: costs[size] / size) if allowed else min(costs)


def choose_device_layout(
    costs: Mapping[int, float], engine: BucketedEngine, cores: int, most_ms: float
) -> Layout:
    """Plan a worker a core to decode, and one a lane, which mostly waits for its batch."""
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
    """Return the seconds between two answers under full load: the slower of decoding and computing.

    Args:
        costs: milliseconds by bucket.
        layout: as `choose_device_layout` returns it.
        devices: how many compute at once.
        preprocess_s: one image on one core.
        cores: that decode.
    """
    forward_s = costs[layout.max_batch] / layout.max_batch / devices / 1000
    return max(preprocess_s / cores, forward_s)
