"""What the experiments on waiting share: one server, one request at a time, simulated."""

import numpy as np
import numpy.typing as npt

Seconds = npt.NDArray[np.float64]


def waits(due: Seconds, service_s: float) -> Seconds:
    """How long each request waits before its work begins: Lindley's recursion.

    Args:
        due: when requests come, ascending.
        service_s: that each of them takes.
    """
    waiting = np.zeros(len(due))
    for number, gap in enumerate(np.diff(due), 1):
        waiting[number] = max(0.0, waiting[number - 1] + service_s - gap)
    return waiting
