"""How the machine is divided between requests: measured at warm-up, not guessed."""

import time
from dataclasses import dataclass

import numpy as np

from service.engines.base import Engine

BATCHING_PAYS = 0.8
"""An image in the best batch must cost less than this share of an image alone."""
_MOST_BATCH = 32
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


def measure_batches(
    engine: Engine, shape: tuple[int, int, int], most_ms: float
) -> dict[int, float]:
    """Time batches of blank images, so that no user pays for first-time work.

    Args:
        engine: what to time.
        shape: height, width, 3.
        most_ms: no larger batch is tried once one takes longer.

    Returns:
        Milliseconds of a batch of 1, 2, 4 … images: the best of three.
    """
    costs: dict[int, float] = {}
    size = 1
    while size <= _MOST_BATCH:
        batch = np.zeros((size, *shape), dtype=np.uint8)
        engine(batch)  # memory is set up, kernels are chosen
        costs[size] = min(_milliseconds(engine, batch) for _ in range(_REPEATS))
        if costs[size] > most_ms:
            break
        size *= 2
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

    There is one worker more than the cores can run, to fill the moments in which another waits for
    the interpreter's lock.

    Args:
        costs: of `measure_batches`.
        cores: that this process may use.
        threads: of one forward pass.
        most_ms: the longest forward pass that latency allows.
    """
    workers = cores + 1
    if not batching_pays(costs):
        return Layout(workers, lanes=max(1, cores // threads) + 1, max_batch=1)
    affordable = [size for size, cost in costs.items() if cost <= most_ms] or [1]
    best = min(affordable, key=lambda size: costs[size] / size)
    return Layout(workers, lanes=1, max_batch=best)


def _milliseconds(engine: Engine, batch: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> float:
    started = time.perf_counter()
    engine(batch)
    return (time.perf_counter() - started) * 1000
