"""How the machine is divided between requests: measured at warm-up, not guessed."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from service.engines.base import Engine

BATCHING_PAYS = 0.8
"""An image in the best batch must cost less than this share of an image alone."""
_BATCHES = (1, 4, 8, 16, 32)
_REPEATS = 3


@dataclass(frozen=True, slots=True)
class Layout:
    """Who computes at the same time."""

    workers: int
    """Threads that preprocess and run forward passes."""
    lanes: int
    """Forward passes at the same time."""
    max_batch: int
    """Most images in one of them."""
    overlapping: int = 0
    """Of the lanes, how many compute nothing before another is done: their batch is copied
    meanwhile. They take full batches only; a smaller one had better gather on."""


def measure_batches(
    engine: Engine, shape: tuple[int, int, int], most_ms: float
) -> dict[int, float]:
    """Time batches of blank images, so that no user pays for first-time work.

    Args:
        engine: what to time.
        shape: height, width, 3.
        most_ms: no larger batch is tried once one takes longer.

    Returns:
        Milliseconds of a batch of 1, 4, 8 … images, the best of three each; no larger ones than
        tell that batching does not pay (runtimes keep the memory that a large batch once took).
    """
    one = np.zeros((1, *shape), dtype=np.uint8)
    costs: dict[int, float] = {}
    for size in _BATCHES:
        batch = np.zeros((size, *shape), dtype=np.uint8)
        engine(batch)  # memory is set up, kernels are chosen
        # In turns with a single image, so that a slow moment of the machine hits both alike.
        pairs = [
            (_milliseconds(engine, one), _milliseconds(engine, batch)) for _ in range(_REPEATS)
        ]
        costs[1] = min(costs.get(1, math.inf), *(alone for alone, _ in pairs))
        if size > 1:
            costs[size] = min(together for _, together in pairs)
        if costs[size] > most_ms or (size > 1 and not batching_pays(costs)):
            break
    return costs


def batching_pays(costs: dict[int, float]) -> bool:
    """Whether an image costs much less in a batch than alone.

    It does where a forward pass is bound by reading weights (a large model) or by starting work (a
    GPU). A small model on a CPU is bound by arithmetic, of which a batch saves nothing: there its
    first image would only wait for its last.
    """
    return min(cost / size for size, cost in costs.items()) < BATCHING_PAYS * costs[1]


def choose_layout(costs: dict[int, float], cores: int, threads: int, most_ms: float) -> Layout:
    """The layout for an engine that computes with so many threads.

    A worker a core, and no more forward passes at once than the cores can run: two cores never have
    more than two of them to do, and each is done as fast as one core can.

    Args:
        costs: of `measure_batches`.
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


def _milliseconds(engine: Engine, batch: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> float:
    return _timed(lambda: engine(batch))


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000
