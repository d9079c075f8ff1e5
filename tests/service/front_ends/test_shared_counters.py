"""The counters of all processes, as any of them reads them."""

import pytest

from service.front_ends.shared_counters import SharedCounters, publish_regularly
from service.gpu.metrics import DeviceTime
from service.runner.jobs import Counters
from tests.conftest import wait_until

BUCKETS = [("cuda:0", 1), ("cuda:0", 8)]


def test_the_counters_of_all_front_ends_are_added_up() -> None:
    shared = SharedCounters(2, BUCKETS)
    one, other = Counters(admitted=5, answered=3), Counters(admitted=2, answered=2, refused=1)
    one.latency.observe(0.012)
    other.latency.observe(0.013)
    other.latency.observe(99)
    for number, counters in enumerate((Counters(admitted=1), other, one)):
        shared.publish_counters(number % 2, counters)  # the last values of each process count
    total = shared.sum_counters()
    assert (total.admitted, total.answered, total.refused) == (7, 5, 1)
    assert total.inside == 2
    assert sum(total.latency.counts) == 3
    assert total.latency.sum == pytest.approx(99.025)


def test_the_times_of_the_devices_are_read_as_published() -> None:
    shared = SharedCounters(1, BUCKETS)
    assert shared.read_times()["cuda:0", 8] == DeviceTime()
    times = {BUCKETS[0]: DeviceTime(3, 3, 0.5), BUCKETS[1]: DeviceTime(2, 15, 0.25)}
    shared.publish_times(times)
    assert shared.read_times() == times


def test_values_are_published_again_and_again() -> None:
    calls = list[int]()
    publish_regularly(lambda: calls.append(1))
    wait_until(lambda: len(calls) > 1)
