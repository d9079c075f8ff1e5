"""What the experiments on reading weights share: a large matrix, timed."""

import time
from collections.abc import Callable
from statistics import median

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def large_matrix(rows: int) -> Floats:
    """Weights, float32 rows × 1280; what they are does not change how long a product takes."""
    return np.full((rows, 1280), 0.5, dtype=np.float32)


def median_s(call: Callable[[], object], repeats: int = 7) -> float:
    """Seconds of a call, the median of so many after one that is not counted."""
    call()
    times = []
    for _repeat in range(repeats):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return median(times)
