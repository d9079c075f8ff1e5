"""When requests are due."""

from typing import Literal

import numpy as np
import numpy.typing as npt

Seconds = npt.NDArray[np.float64]
Arrivals = Literal["poisson", "constant"]


def due_times(arrivals: Arrivals, rate: float, seconds: float, seed: int = 0) -> Seconds:
    """Return the moments at which requests are due, seconds from the start, ascending.

    Args:
        arrivals: "poisson": independent users, exponential gaps, so several requests may come at
            once; "constant": evenly spaced, the gentlest traffic.
        rate: requests a second, over 0.
        seconds: length of the load; it has round(rate × seconds) requests.
        seed: of the Poisson process; the same seed gives the same traffic.

    Returns:
        float64, requests.
    """
    count = round(rate * seconds)
    if arrivals == "constant":
        return np.arange(count) / rate
    # Given their number, the arrivals of a Poisson process are uniform: the same count for every
    # seed, so that runs compare.
    return np.sort(np.random.default_rng(seed).uniform(0, seconds, count))
