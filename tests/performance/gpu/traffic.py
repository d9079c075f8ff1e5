"""Send more load than one process can: several processes, each with a share of the requests."""

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from challenges.load.arrivals import Arrivals, due_times
from challenges.load.generator import Target
from challenges.load.observations import Observations
from tests.performance.traffic import Traffic, _generate, _keep

PER_PROCESS = 1500.0
"""Requests a second that one process can send on time."""


class ManyTraffic(Traffic):
    """Several generator processes. Request number i carries body i, whichever process sends it."""

    def __init__(self, bodies: Sequence[bytes], most: int) -> None:
        """Start `most` processes; a run uses as many as its rate needs."""
        self._bodies = list(bodies)
        self._most = most
        context = multiprocessing.get_context("spawn")
        self._pools = {
            # Process j of k sends requests j, j + k, j + 2k …: its bodies in that order.
            (count, number): ProcessPoolExecutor(
                1, context, initializer=_keep, initargs=(self._share(count, number),)
            )
            for count in range(1, most + 1)
            for number in range(count)
        }

    def _share(self, count: int, number: int) -> list[bytes]:
        bodies = self._bodies
        return [bodies[(turn * count + number) % len(bodies)] for turn in range(len(bodies))]

    def send(
        self,
        target: Target,
        rate: float,
        seconds: float,
        arrivals: Arrivals = "poisson",
        seed: int = 0,
        timeout: float = 10,
    ) -> Observations:
        """Send requests as `Traffic.send` does."""
        due = due_times(arrivals, rate, seconds, seed)
        count = min(self._most, max(1, round(rate / PER_PROCESS + 0.5)))
        jobs = [
            self._pools[count, number].submit(_generate, target, due[number::count], timeout)
            for number in range(count)
        ]
        return merge([job.result() for job in jobs], len(due))

    def close(self) -> None:
        """End the processes."""
        for pool in self._pools.values():
            pool.shutdown()


def merge(parts: Sequence[Observations], requests: int) -> Observations:
    """Merge the observations of all processes in the order of the requests."""
    count = len(parts)

    def weave(name: str) -> np.ndarray:
        first = getattr(parts[0], name)
        whole = np.empty(requests, first.dtype)
        for number, part in enumerate(parts):
            whole[number::count] = getattr(part, name)
        return whole

    bodies: list[bytes] = [b""] * requests
    for number, part in enumerate(parts):
        bodies[number::count] = part.bodies
    return Observations(
        due=weave("due"),
        sent=weave("sent"),
        done=weave("done"),
        status=weave("status"),
        bodies=bodies,
        retry_after=weave("retry_after"),
        cpu_share=max(part.cpu_share for part in parts),
    )
