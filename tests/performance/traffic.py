"""Load from another process, so that its work is not the measured server's nor the benchmark's."""

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

from challenges.load.arrivals import Arrivals, Seconds, due_times
from challenges.load.generator import Target, generate
from challenges.load.observations import Observations

_bodies: list[bytes] = []
"""In the generator's process."""


class Traffic:
    """One generator process, that holds the bodies which it sends."""

    def __init__(self, bodies: Sequence[bytes]) -> None:
        self._pool = ProcessPoolExecutor(
            1, multiprocessing.get_context("spawn"), initializer=_keep, initargs=(list(bodies),)
        )

    def send(
        self,
        target: Target,
        rate: float,
        seconds: float,
        arrivals: Arrivals = "poisson",
        seed: int = 0,
        timeout: float = 10,
    ) -> Observations:
        """Send `rate` requests a second for so long; what became of them."""
        due = due_times(arrivals, rate, seconds, seed)
        return self._pool.submit(_generate, target, due, timeout).result()

    def close(self) -> None:
        """End the process."""
        self._pool.shutdown()


def _keep(bodies: list[bytes]) -> None:
    _bodies.extend(bodies)


def _generate(target: Target, due: Seconds, timeout: float) -> Observations:
    return generate(target, due, _bodies, timeout)
