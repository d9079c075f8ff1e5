"""The plan: how the machine is divided between requests. Measured at warm-up, not guessed."""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from prometheus_client.registry import Collector

from service.engines.base import Engine, Image
from service.machine import available_cores
from service.preprocessing import PreprocessingSettings, preprocess
from service.settings import Settings

BATCHING_PAYS = 0.8
"""Batching pays if an image in the best batch costs less than this share of an image alone."""
_BATCHES = (1, 4, 8, 16, 32)
_REPEATS = 3


@dataclass(frozen=True, slots=True)
class Layout:
    """The number of threads and of forward passes at the same time."""

    workers: int
    """Threads that preprocess images and run forward passes."""
    lanes: int
    """Forward passes at the same time."""
    max_batch: int
    """Most images in one forward pass."""
    overlapping: int = 0
    """Lanes used only to overlap copies with compute; they take full batches only."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that the runner needs to know about a loaded engine; each device family makes its own."""

    engine: Engine
    prepare: Callable[[bytes], Image]
    """An image file's bytes to what the engine takes; from any thread."""
    layout: Layout
    threads: int
    """Computing threads of one forward pass."""
    costs_ms: Mapping[int, float]
    """Milliseconds of a forward pass by batch size."""
    service_s: float
    """Seconds of one request alone."""
    interval_s: float
    """Seconds between two answers under full load."""
    metrics: Collector | None = None
    """Figures of the device for /metrics."""
    check_health: Callable[[], str | None] | None = None
    """Asked each second: why the device does not work any more, or None."""

    def describe(self) -> str:
        """Return the measurements and the decision in one line, for the log."""
        costs = ", ".join(f"batch {size}: {cost:.1f} ms" for size, cost in self.costs_ms.items())
        lanes, most = self.layout.lanes, self.layout.max_batch
        return f"{costs} → {lanes} lanes of {self.threads} threads, batches up to {most}"


def make_plan(
    engine: Engine,
    reload: Callable[[int], Engine],
    preprocessing: PreprocessingSettings,
    photos: Sequence[bytes],
    settings: Settings,
) -> Plan:
    """Measure the engine and divide the machine's cores between requests.

    Args:
        engine: loaded with the threads that `settings` ask for, or one.
        reload: loads it again with N threads, where one forward pass should use all cores.
        preprocessing: the manifest's.
        photos: some image files, to measure preprocessing with.
        settings: target latency, threads, largest image.
    """
    cores, threads = available_cores(settings.cores), settings.threads or 1
    most_ms = settings.target_ms / 2  # the rest is for waiting and preprocessing
    shape = (preprocessing.crop, preprocessing.crop, 3)
    costs = measure_batches(engine, shape, most_ms)
    if settings.threads is None and engine.device == "cpu" and cores > 1 and batching_pays(costs):
        threads = cores
        engine = reload(threads)
        costs = measure_batches(engine, shape, most_ms)
    layout = choose_layout(costs, cores, threads, most_ms)
    preprocess_s = measure_preprocessing(photos, preprocessing)
    service_s = preprocess_s + costs[1] / 1000
    if layout.max_batch == 1:
        interval_s = service_s / layout.lanes
    else:  # preprocessing and the device work side by side: the slower one counts
        per_image_s = costs[layout.max_batch] / layout.max_batch / 1000
        interval_s = max(preprocess_s / cores, per_image_s)
    prepare = partial(preprocess, settings=preprocessing, max_pixels=settings.max_pixels)
    return Plan(engine, prepare, layout, threads, costs, service_s, interval_s)


def measure_preprocessing(photos: Sequence[bytes], settings: PreprocessingSettings) -> float:
    """Return the median seconds of preprocessing one of these image files on one core."""
    return statistics.median(
        _time_ms(partial(preprocess, photo, settings)) / 1000 for photo in photos
    )


def measure_batches(
    engine: Engine, shape: tuple[int, int, int], most_ms: float
) -> dict[int, float]:
    """Time batches of blank images, so that no user pays for first-time work.

    Args:
        engine: what to time.
        shape: height, width, 3.
        most_ms: no larger batch is tried once one takes longer.

    Returns:
        Milliseconds of a batch of 1, 4, 8 … images, the best of three each. It stops at the first
        batch that shows that batching does not pay (runtimes keep the memory that a large batch
        once took).
    """
    one = np.zeros((1, *shape), dtype=np.uint8)
    costs: dict[int, float] = {}
    for size in _BATCHES:
        batch = np.zeros((size, *shape), dtype=np.uint8)
        engine(batch)  # memory is set up, kernels are chosen
        # In turns with a single image, so that a slow moment of the machine hits both alike.
        pairs = [
            (_time_ms(partial(engine, one)), _time_ms(partial(engine, batch)))
            for _ in range(_REPEATS)
        ]
        costs[1] = min(costs.get(1, math.inf), *(alone for alone, _ in pairs))
        if size > 1:
            costs[size] = min(together for _, together in pairs)
        if costs[size] > most_ms or (size > 1 and not batching_pays(costs)):
            break
    return costs


def batching_pays(costs: Mapping[int, float]) -> bool:
    """Return whether an image costs much less in a batch than alone.

    It does where a forward pass is bound by reading weights (a large model) or by starting work (a
    GPU). A small model on a CPU is bound by arithmetic, of which a batch saves nothing: there its
    first image would only wait for its last.
    """
    return min(cost / size for size, cost in costs.items()) < BATCHING_PAYS * costs[1]


def choose_layout(costs: Mapping[int, float], cores: int, threads: int, most_ms: float) -> Layout:
    """Choose the layout for an engine that computes with N threads.

    One worker a core, and no more forward passes at once than the cores can run: two cores never
    have more than two of them to do, and each is done as fast as one core can.

    Args:
        costs: milliseconds by batch size, as `measure_batches` returns them.
        cores: that this process may use.
        threads: of one forward pass.
        most_ms: the longest forward pass that latency allows.
    """
    if not batching_pays(costs):
        return Layout(cores, lanes=max(1, cores // threads), max_batch=1)
    affordable = [size for size, cost in costs.items() if cost <= most_ms] or [1]
    best = min(affordable, key=lambda size: costs[size] / size)
    # The lane's worker mostly waits for the engine's own threads or the device.
    return Layout(cores + 1, lanes=1, max_batch=best)


def _time_ms(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000
