"""Measures the time of calls."""

import time
from collections.abc import Callable, Hashable, Mapping
from statistics import median
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)


def times_in_turns(
    calls: Mapping[Name, Callable[[], object]], repeats: int = 5
) -> dict[Name, list[float]]:
    """Return the times in ms of each call, by name.

    The calls run in turns, so that a slow moment of the machine affects all of them. The first call
    of each, with its first-time work, is not counted.
    """
    for call in calls.values():
        call()
    times: dict[Name, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            times[name].append((time.perf_counter() - started) * 1000)
    return times


def medians_in_turns(
    calls: Mapping[Name, Callable[[], object]], repeats: int = 5
) -> dict[Name, float]:
    """Return the median time in ms of each call, by name; see `times_in_turns`."""
    return {name: median(times) for name, times in times_in_turns(calls, repeats).items()}
