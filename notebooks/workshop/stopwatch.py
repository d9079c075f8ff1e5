"""Times calls in turns."""

import time
from collections.abc import Callable, Hashable, Mapping
from statistics import median
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)


def times_in_turns(
    calls: Mapping[Name, Callable[[], object]], repeats: int = 5
) -> dict[Name, list[float]]:
    """Milliseconds of each call, by name; in turns, so that a slow moment hits all alike."""
    for call in calls.values():
        call()
    found: dict[Name, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            found[name].append((time.perf_counter() - started) * 1000)
    return found


def medians_in_turns(
    calls: Mapping[Name, Callable[[], object]], repeats: int = 5
) -> dict[Name, float]:
    """The median milliseconds of each call, by name; in turns."""
    return {name: median(times) for name, times in times_in_turns(calls, repeats).items()}
