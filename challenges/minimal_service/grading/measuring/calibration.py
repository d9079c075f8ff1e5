"""What this machine can do, measured before anything is graded, and what may be asked of it."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from challenges.minimal_service.grading.measuring.cpu_meter import MOST_OTHERS, CpuMeter
from challenges.minimal_service.grading.measuring.photos import encoded
from challenges.minimal_service.grading.verdict import Machine
from learner.language import _
from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.machine import available_cores
from service.preprocessing import preprocess

TARGET_RATE = 50.0
FEATURES_FLOP = 0.78e9
"""Of EfficientNet-Lite0's features, an image."""
_INT8_SPEEDUP = 4.0
"""int8 against fp32 arithmetic, at best (a register holds four times as many)."""
_BATCH = 8
"""Images that share a read of the weights, in the estimate of what is in reach."""
_MOST_BUSY = 0.5
"""Share of what is in reach that may be asked for: p99 breaks long before throughput does."""
_REPEATS = 8
_PATIENCE_S = 8.0
"""For which a busy machine is measured again."""
_PIECES = 200
_FAIR_MEMORY_GB_S, _FAIR_ARITHMETIC_GFLOP_S = 10.0, 60.0
"""A machine with less is slow, and gets more time to start."""


def calibrate(model: Path) -> Machine:
    """Measure this machine; some four seconds, longer while other programs take much of it.

    Args:
        model: the research model, whose size says what must be read and computed for an image.
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
    # What a busy machine cannot reach says nothing of what it can.
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
    """Bytes a second that all cores together read; the best of some."""
    values = np.ones(megabytes * 250_000, dtype=np.float32)
    cores = available_cores()
    with ThreadPoolExecutor(cores) as pool:
        parts = np.array_split(values, cores)
        return values.nbytes / min(_times(lambda: list(pool.map(np.max, parts)), _REPEATS))


def arithmetic_rate(side: int = 2048) -> float:
    """Operations a second (float32) of a matrix product on all cores; the best of some."""
    matrix = np.ones((side, side), dtype=np.float32)
    return 2.0 * side**3 / min(_times(lambda: matrix @ matrix, _REPEATS))


def preprocessing_s() -> float:
    """Seconds that one core needs for a photo of a load."""
    from PIL import Image

    with Image.open(SAMPLE_PHOTOS[0].path) as file:
        photo = encoded(file.convert("RGB").resize((500, 375)), quality=90)
    return min(_times(lambda: preprocess(photo), 20))


def noise() -> float:
    """How much longer the slowest of many equal pieces of work took than the median, as a share.

    The slowest of a hundred, that is: one in a hundred is what p99 sees.
    """
    values = np.ones(8_000_000, dtype=np.float32)  # some milliseconds, as a request takes
    times = _times(values.sum, _PIECES)
    return float(np.quantile(times, 0.99) / np.median(times) - 1)


def _times(call: Callable[[], object], repeats: int) -> list[float]:
    call()
    found = []
    for _repeat in range(repeats):
        started = time.perf_counter()
        call()
        found.append(time.perf_counter() - started)
    return found


def _flop(weights: int) -> float:
    """Operations for an image: the features', and two for each weight of the classifier."""
    return FEATURES_FLOP + 2 * weights / 4


def floor_s(weights: int, memory: float, arithmetic: float) -> float:
    """Least seconds of an image alone, with int8 weights.

    Each weight must be read once, and every operation done; both may go on at once.

    Args:
        weights: bytes of the fp32 model.
        memory: bytes a second.
        arithmetic: float32 operations a second.
    """
    return max(weights / 4 / memory, _flop(weights) / (arithmetic * _INT8_SPEEDUP))


def rate_in_reach(
    weights: int, memory: float, arithmetic: float, preprocessing: float, cores: int
) -> float:
    """Images a second that the best imaginable service could answer: int8, in batches.

    An image costs its preprocessing on one of the cores, its operations on all of them, and its
    share of a batch's read of the weights.
    """
    reading = weights / 4 / memory / _BATCH
    return 1 / (preprocessing / cores + max(reading, _flop(weights) / (arithmetic * _INT8_SPEEDUP)))


def target_for(reach: float) -> tuple[float, str | None]:
    """The rate to be asked for where `reach` is the most imaginable, and why it is not 50."""
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
    """By how much longer a start may take here than on a fair machine; at least 1."""
    if machine is None:
        return 1.0
    return max(
        1.0,
        _FAIR_MEMORY_GB_S / machine.memory_gb_s,
        _FAIR_ARITHMETIC_GFLOP_S / machine.arithmetic_gflop_s,
    )
