"""The simulated queue agrees with what queueing theory knows exactly."""

import numpy as np
import pytest

from challenges.load.arrivals import due_times
from notebooks.workshop.queueing import p99_band, p99_ms, saturation, simulate


def test_requests_that_never_meet_do_not_wait() -> None:
    assert simulate([0, 1, 2], {1: [10]}) == pytest.approx([10, 10, 10])


def test_requests_wait_for_a_busy_server() -> None:
    assert simulate([0, 0.004, 0.004], {1: [10]}) == pytest.approx([10, 16, 26])


def test_a_busy_server_takes_all_waiting_requests_at_once() -> None:
    times = {1: [10], 4: [20]}
    # The first is alone; three gather behind it: 10 + 10 / 3 * 2 ms, by interpolation.
    third = 10 + 10 * 2 / 3
    latency = simulate([0, 0.001, 0.002, 0.003], times)
    assert latency == pytest.approx([10, 9 + third, 8 + third, 7 + third])


def test_a_batch_is_at_most_the_largest_measured_one() -> None:
    latency = simulate([0] * 5, {1: [10], 2: [10]})
    assert latency == pytest.approx([10, 10, 20, 20, 30])


def test_requests_are_answered_in_their_order() -> None:
    due = due_times("poisson", 80, 30)
    done = due * 1000 + simulate(due, {1: [8, 20], 4: [20, 35]})
    assert (np.diff(done) >= -1e-6).all()


@pytest.mark.parametrize("busy", [0.3, 0.5, 0.8])
def test_mean_wait_for_fixed_times_is_exact(busy: float) -> None:
    """M/D/1 (Pollaczek–Khinchine): the mean wait is busy / (2 (1 - busy)) service times."""
    due = due_times("poisson", 100 * busy, 1000)
    wait = simulate(due, {1: [10]}).mean() - 10
    assert wait == pytest.approx(10 * busy / (2 * (1 - busy)), rel=0.1)


def test_mean_wait_for_exponential_times_is_exact() -> None:
    """M/M/1: busy / (1 - busy) service times, here 1."""
    times = np.random.default_rng(1).exponential(10, 20_000).tolist()
    due = due_times("poisson", 50, 1000)
    assert simulate(due, {1: times}).mean() == pytest.approx(20, rel=0.1)


def test_the_way_makes_each_latency_longer_and_lanes_slower() -> None:
    """A fifth of the cores is lost, so 10 ms become 12.5; 3 ms are added on the way."""
    assert simulate([0, 1, 2], {1: [10]}, way_ms=[3.0]) == pytest.approx([13.0] * 3)
    drawn = simulate(np.arange(50.0), {1: [10]}, way_ms=[1.0, 5.0])
    assert set(drawn.round(6)) == {11.0, 15.0}
    low, _middle, high = p99_band({1: [10]}, rate=50, runs=5, way_ms=[3.0])
    assert high >= low > 13


def test_latency_grows_during_overload() -> None:
    """500 requests of 100 ms are 50 s of work; the last one comes at 10 s."""
    latency = simulate(due_times("constant", 50, 10), {1: [100]})
    assert latency[-1] / 1000 == pytest.approx(40, abs=0.1)


def test_batches_raise_saturation() -> None:
    assert saturation({1: [10]}) == pytest.approx(100)
    assert saturation({1: [10], 8: [40, 40]}) == pytest.approx(200)


def test_lanes_work_side_by_side() -> None:
    assert simulate([0, 0, 0], {1: [10]}, lanes=2) == pytest.approx([10, 10, 20])
    assert saturation({1: [10]}, lanes=2) == pytest.approx(200)
    assert p99_ms({1: [10]}, 90, lanes=2) < p99_ms({1: [10]}, 90) / 3


def test_a_batch_of_8_cannot_be_faster_than_its_own_time() -> None:
    """At 17 ms an image, the first of a batch of 8 is answered after 136 ms."""
    assert simulate([0.0] * 8, {1: [20], 8: [136]}).min() == pytest.approx(136)


def test_a_p99_scatters_and_its_band_holds_the_middle() -> None:
    low, middle, high = p99_band({1: [10]}, 90, runs=12)
    assert 100 < low < middle < high


def test_the_tail_grows_with_the_rate_and_the_same_seed_repeats_it() -> None:
    half, most = p99_ms({1: [10]}, 50), p99_ms({1: [10]}, 90)
    assert 10 < half < most / 3
    assert p99_ms({1: [10]}, 50) == half


@pytest.mark.parametrize("times", [{}, {2: [10.0]}, {1: []}])
def test_missing_times_are_refused(times: dict[int, list[float]]) -> None:
    with pytest.raises(ValueError, match="at least one time for each size"):
        simulate([0], times)
