"""Measures this machine before anything is graded, and derives what may be asked of it."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from challenges.load.images import encoded, rgb
from challenges.minimal_service.grading.verdict import Machine
from learner.cpu_meter import MOST_OTHERS, CpuMeter
from learner.language import _
from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.machine import available_cores
from service.preprocessing import preprocess

TARGET_RATE = 50.0
FEATURES_FLOP = 0.78e9
"""Operations of EfficientNet-Lite0's features for one image."""
_INT8_SPEEDUP = 4.0
"""Best speed of int8 compared with fp32: a register holds four times as many values."""
_BATCH = 8
"""Images that share one read of the weights, in the estimate of the reachable rate."""
_MOST_BUSY = 0.5
"""Share of the reachable rate that may be asked for: p99 breaks long before throughput does."""
_REPEATS = 8
_PATIENCE_S = 8.0
"""A busy machine is measured again for this long."""
_PIECES = 200
_FAIR_MEMORY_GB_S, _FAIR_ARITHMETIC_GFLOP_S = 10.0, 60.0
"""A slower machine gets more time to start."""


def calibrate(model: Path) -> Machine:
    """Measure this machine. It takes about four seconds, and longer on a busy machine.

    Args:
        model: the research model; its size says what must be read and computed for an image.
    """
    weights = (model / "weights.safetensors").stat().st_size
    memory = arithmetic = 0.0
    started = time.monotonic()
    others = 1.0
    while others > MOST_OTHERS and time.monotonic() - started < _PATIENCE_S:
        meter = CpuMeter()
        memory = max(memory, memory_rate())
        arithmetic = max(arithmetic, arithmetic_rate())
        others = meter.others()
    reach = rate_in_reach(weights, memory, arithmetic, preprocessing_s(), available_cores())
    # On a busy machine the estimate is too low to lower the target.
    target, reason = target_for(reach) if others <= MOST_OTHERS else (TARGET_RATE, None)
    return Machine(
        cores=available_cores(),
        memory_gb_s=round(memory / 1e9, 2),
        arithmetic_gflop_s=round(arithmetic / 1e9, 2),
        noise=round(noise(), 3),
        floor_ms=round(floor_s(weights, memory, arithmetic) * 1000, 2),
        target_rate=target,
        target_reason=reason,
    )


def memory_rate(megabytes: int = 512) -> float:
    """Return the bytes per second that all cores together read; the best of several runs."""
    values = np.ones(megabytes * 250_000, dtype=np.float32)
    cores = available_cores()
    with ThreadPoolExecutor(cores) as pool:
        parts = np.array_split(values, cores)
        return values.nbytes / min(_time_calls(lambda: list(pool.map(np.max, parts)), _REPEATS))


def arithmetic_rate(side: int = 2048) -> float:
    """Return the float32 operations per second of a matrix product on all cores; the best run."""
    matrix = np.ones((side, side), dtype=np.float32)
    return 2.0 * side**3 / min(_time_calls(lambda: matrix @ matrix, _REPEATS))


def preprocessing_s() -> float:
    """Return the seconds that one core needs to preprocess a photo of a load."""
    photo = encoded(rgb(SAMPLE_PHOTOS[0]).resize((500, 375)), quality=90)
    return min(_time_calls(lambda: preprocess(photo), 20))


def noise() -> float:
    """Return by what share the 99th percentile of equal pieces of work exceeds the median."""
    values = np.ones(8_000_000, dtype=np.float32)  # some milliseconds, as a request takes
    times = _time_calls(values.sum, _PIECES)
    return float(np.quantile(times, 0.99) / np.median(times) - 1)


def _time_calls(call: Callable[[], object], repeats: int) -> list[float]:
    call()
    times = []
    for _repeat in range(repeats):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return times


def _count_flop(weights: int) -> float:
    """Return the operations for an image: the features', and two per weight of the classifier."""
    return FEATURES_FLOP + 2 * weights / 4


def floor_s(weights: int, memory: float, arithmetic: float) -> float:
    """Return the least seconds for a single image, with int8 weights.

    Each weight must be read once and each operation done; both may overlap.

    Args:
        weights: bytes of the fp32 model.
        memory: bytes per second.
        arithmetic: float32 operations per second.
    """
    return max(weights / 4 / memory, _count_flop(weights) / (arithmetic * _INT8_SPEEDUP))


def rate_in_reach(
    weights: int, memory: float, arithmetic: float, preprocessing: float, cores: int
) -> float:
    """Return the images per second of the best imaginable service: int8, in batches.

    An image costs its preprocessing on one core, its operations on all cores, and its share of a
    batch's read of the weights.
    """
    reading = weights / 4 / memory / _BATCH
    return 1 / (
        preprocessing / cores + max(reading, _count_flop(weights) / (arithmetic * _INT8_SPEEDUP))
    )


def target_for(reach: float) -> tuple[float, str | None]:
    """Return the rate to ask for if `reach` is the best imaginable, and why it is not 50."""
    allowed = _MOST_BUSY * reach
    if allowed >= TARGET_RATE:
        return TARGET_RATE, None
    target = float(max(1, int(allowed)))
    reason = _(
        "This machine cannot answer {rate:g} requests a second with p99 under 50 ms, however it is "
        "programmed: the most imaginable is {reach:.0f} a second with every core always busy. "
        "So {target:g} a second are asked for here."
    )
    return target, reason.format(rate=TARGET_RATE, reach=reach, target=target)


def slowness(machine: Machine | None) -> float:
    """Return how many times longer a start may take here than on a fair machine; at least 1."""
    if machine is None:
        return 1.0
    return max(
        1.0,
        _FAIR_MEMORY_GB_S / machine.memory_gb_s,
        _FAIR_ARITHMETIC_GFLOP_S / machine.arithmetic_gflop_s,
    )
