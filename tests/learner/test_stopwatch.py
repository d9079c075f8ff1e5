"""Calls are timed in turns, and the first one does not count."""

import time

from learner.stopwatch import median_ms, time_ms, times_in_turns


def test_calls_take_turns_and_the_first_does_not_count() -> None:
    calls: list[str] = []
    times = times_in_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 2)
    assert "".join(calls) == "ababab"
    assert {name: len(values) for name, values in times.items()} == {"a": 2, "b": 2}


def test_times_are_milliseconds() -> None:
    def wait() -> None:
        end = time.perf_counter() + 0.002
        while time.perf_counter() < end:
            pass

    assert 2 <= time_ms(wait) < 1000
    assert 2 <= median_ms(wait, repeats=3) < 1000
