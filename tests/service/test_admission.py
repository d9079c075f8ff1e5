"""Admission: lets in what can be answered in time, learns how fast that is, says when to retry."""

import math

from service.admission import CALM_S, LENIENT, PATIENCE_S, STRICT, Admission

TARGET, SERVICE = 0.050, 0.010


def admission() -> Admission:
    return Admission(target_s=TARGET, service_s=SERVICE, parallel=2)


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
    assert gate.retry_after(0, 0.0, deadline_s=SERVICE / 2) == 1  # cannot be met even when idle
    assert gate.retry_after(0, 0.0, deadline_s=SERVICE) is None
    assert most_ahead(gate, 0.0, deadline_s=1.0) == 199


def test_who_need_not_wait_is_never_refused() -> None:
    slow = Admission(target_s=TARGET, service_s=10, parallel=2)
    assert slow.retry_after(0, 0.0, None) is None
    assert slow.retry_after(1, 0.0, None) is None
    assert slow.retry_after(2, 0.0, None) is not None


def test_learns_the_drain_rate_while_requests_wait() -> None:
    gate = admission()
    for number in range(200):  # one answer in 20 ms, each of which took 40: slower than thought
        gate.answered(number * 0.020, 0.040, requests_wait=True)
    assert math.isclose(gate.interval_s, 0.020, rel_tol=0.02)
    for number in range(200):  # idle: the time between answers says nothing
        gate.answered(100 + number * 1.0, 0.040, requests_wait=False)
    assert math.isclose(gate.interval_s, 0.020, rel_tol=0.02)


def test_a_slow_start_is_forgotten_without_any_waiting() -> None:
    gate = Admission(target_s=TARGET, service_s=1.0, parallel=2)
    for number in range(200):
        gate.answered(number * 0.020, SERVICE, requests_wait=False)
    assert math.isclose(gate.interval_s, SERVICE / 2, rel_tol=0.02)


def test_retry_after_is_the_time_that_the_line_needs() -> None:
    gate = admission()
    assert gate.retry_after(1999, 0.0, deadline_s=1.0) == 9  # 2,000 × 5 ms, less the 1 s
    assert gate.retry_after(30, 0.0, None) == 1  # never less: a header of whole seconds
