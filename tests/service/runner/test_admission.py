"""Admission: lets in what can be answered in time, learns how fast that is, says when to retry."""

import math

from service.runner.admission import CALM_S, FORGET_S, LENIENT, PATIENCE_S, STRICT, Admission

TARGET, SERVICE = 0.050, 0.010


def admission(service_s: float = SERVICE) -> Admission:
    return Admission(TARGET, service_s, interval_s=service_s / 2, lanes=2)


def most_ahead(gate: Admission, now: float, deadline_s: float | None = None) -> int:
    """The longest line behind which a request is still let in."""
    ahead = 0
    while gate.retry_after(ahead + 1, now, deadline_s) is None:
        ahead += 1
    return ahead


def test_a_burst_may_be_late_but_lasting_overload_is_cut() -> None:
    gate = admission()
    interval = SERVICE / 2
    burst = most_ahead(gate, now=0.0)
    assert math.isclose((burst + 1) * interval, LENIENT * TARGET)
    # The line stays long: patience ends.
    assert gate.retry_after(burst, PATIENCE_S, None) is None
    assert gate.retry_after(burst, 2.1 * PATIENCE_S, None) == 1
    strict = most_ahead(gate, now=2.2 * PATIENCE_S)
    assert (strict + 1) * interval <= STRICT * TARGET < (strict + 2) * interval
    # Refusals keep it up; it ends when there was none for a while.
    assert most_ahead(gate, now=2.2 * PATIENCE_S + 0.9 * CALM_S) == strict
    assert most_ahead(gate, now=10.0) == burst


def test_a_deadline_of_its_own_counts_alone() -> None:
    gate = admission()
    assert gate.retry_after(0, 0.0, deadline_s=SERVICE / 5) == 1  # cannot be met even when idle
    assert gate.retry_after(0, 0.0, deadline_s=SERVICE) is None
    assert most_ahead(gate, 0.0, deadline_s=1.0) == 199


def test_who_need_not_wait_is_never_refused() -> None:
    slow = admission(10)
    assert slow.retry_after(0, 0.0, None) is None
    assert slow.retry_after(1, 0.0, None) is None
    assert slow.retry_after(4, 0.0, None) == 5  # 25 s, of which 20 would do in a burst


def test_learns_the_drain_rate_while_requests_wait() -> None:
    gate = admission()
    for number in range(200):  # one answer in 20 ms, each of which took 40: slower than thought
        gate.answered(number * 0.020, 0.040, 1, requests_wait=True)
    assert math.isclose(gate.interval_s, 0.020, rel_tol=0.02)
    for number in range(200):  # idle: the time between answers says nothing
        gate.answered(100 + number * 1.0, 0.040, 1, requests_wait=False)
    assert math.isclose(gate.interval_s, 0.020, rel_tol=0.02)


def test_a_slow_start_is_forgotten_without_any_waiting() -> None:
    gate = admission(1.0)
    for number in range(200):
        gate.answered(number * 0.020, SERVICE, 1, requests_wait=False)
    assert math.isclose(gate.interval_s, SERVICE / 2, rel_tol=0.02)


def test_retry_after_is_the_time_that_the_line_needs() -> None:
    gate = admission()
    assert gate.retry_after(1999, 0.0, deadline_s=1.0) == 9  # 2,000 × 5 ms, less the 1 s
    assert gate.retry_after(30, 0.0, None) == 1  # never less: a header of whole seconds


def test_learns_the_drain_rate_of_batches() -> None:
    """One lane, 16 images in 30 ms, preprocessed beside it: far faster than one alone suggests."""
    gate = Admission(TARGET, service_s=0.033, interval_s=0.033, lanes=1)
    for number in range(100):
        gate.answered(number * 0.030, 0.033, 16, requests_wait=True)
    assert math.isclose(gate.interval_s, 0.030 / 16, rel_tol=0.02)
    # And not faster than it is: many cores do not make one lane quicker.
    slow = Admission(TARGET, service_s=0.010, interval_s=0.001, lanes=1)
    for number in range(200):
        slow.answered(number * 0.020, 0.010, 1, requests_wait=True)
    assert math.isclose(slow.interval_s, 0.020, rel_tol=0.02)


def test_a_slow_model_is_not_overloaded_for_ever() -> None:
    """Each request takes longer than the strict share of the target, and bursts are let in."""
    gate = admission(0.035)
    for hour in range(3):
        now = hour * 3600.0
        assert gate.retry_after(0, now, None) is None
        assert gate.retry_after(3, now, None) is None
        assert gate.retry_after(8, now, None) is not None


def test_a_deadline_that_looks_too_short_is_tried_now_and_then() -> None:
    """Or a machine that was slow for a while would refuse its patient clients for ever."""
    gate = admission(0.018)
    admitted = [gate.retry_after(0, number * 0.1, deadline_s=0.015) is None for number in range(40)]
    assert sum(admitted) == 4
    for number in range(100):
        gate.answered(10 + number, 0.010, 1, requests_wait=False)
    assert gate.retry_after(0, 200.0, deadline_s=0.015) is None
    assert gate.retry_after(0, 200.0, deadline_s=0.015) is None


def test_expensive_images_do_not_lock_out_cheap_ones() -> None:
    """After eight photos of 0.5 s each, an idle server still takes deadlines that it can keep."""
    gate = admission(0.010)
    for number in range(8):
        gate.answered(float(number), 0.5, 1, requests_wait=False)
    assert gate.service_s > 0.060  # the mean alone would refuse
    assert gate.retry_after(0, 10.0, deadline_s=0.060) is None
    assert gate.retry_after(0, 10.0, deadline_s=0.002) == 1


def test_silence_makes_the_estimate_less_certain() -> None:
    """Whatever was measured, some time later a request is tried again."""
    gate = admission(0.010)
    gate.answered(0.0, 5.0, 1, requests_wait=False)
    gate.fastest_s = 5.0
    assert gate.retry_after(0, 1.0, deadline_s=0.060) == 5
    assert gate.retry_after(0, 1.0 + 10 * FORGET_S, deadline_s=0.060) is None
