"""Time one call, or several calls in turns."""

import time
from collections.abc import Callable, Hashable, Mapping
from statistics import median
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)


def time_ms(call: Callable[[], object]) -> float:
    """Return the milliseconds of one call."""
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1000


def median_ms(call: Callable[[], object], repeats: int = 5) -> float:
    """Return the median milliseconds of `repeats` calls, after a first one that does not count."""
    return medians_in_turns({"": call}, repeats)[""]


def times_in_turns(
    calls: Mapping[Name, Callable[[], object]], repeats: int = 5
) -> dict[Name, list[float]]:
    """Return the milliseconds of `repeats` calls, by name, after a first one that does not count.

    The calls take turns, so that a slow moment of the machine affects all of them.
    """
    for call in calls.values():
        call()
    times: dict[Name, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            times[name].append(time_ms(call))
    return times


def medians_in_turns(
    calls: Mapping[Name, Callable[[], object]], repeats: int = 5
) -> dict[Name, float]:
    """Return the median of `times_in_turns`, by name."""
    return {name: median(times) for name, times in times_in_turns(calls, repeats).items()}
