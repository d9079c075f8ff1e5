"""The load is judged by what was observed: late, lost, wrong, or void on a busy machine."""

from pathlib import Path

import numpy as np
import pytest

from challenges.load.observations import Observations
from challenges.minimal_service.grading.context import Grade
from challenges.minimal_service.grading.criteria import load
from challenges.minimal_service.grading.criteria.load import LoadRun, Sent, find_rate_held
from challenges.minimal_service.grading.verdict import CriterionResult

COUNT = 1000


@pytest.fixture
def grade(tmp_path: Path) -> Grade:
    return Grade(tmp_path, True, lambda _: None, 1)


def sent(
    latency_ms: float = 20,
    *,
    rate: float = 50,
    slow: int = 0,
    slow_ms: float = 200,
    failed: int = 0,
    cpu_share: float = 0.1,
    late_ms: float = 0.1,
) -> Sent:
    """A load: `slow` of its requests took `slow_ms`, `failed` were refused."""
    due = np.arange(COUNT) / rate
    latency = np.full(COUNT, latency_ms)
    latency[:slow] = slow_ms
    status = np.full(COUNT, 200)
    status[COUNT - failed :] = 503
    seen = Observations(
        due=due,
        sent=due + late_ms / 1000,
        done=due + latency / 1000,
        status=status,
        bodies=[b"{}"] * COUNT,
        retry_after=np.full(COUNT, np.nan),
        cpu_share=cpu_share,
    )
    return Sent(rate, [b""] * COUNT, seen)


def judged(
    grade: Grade, main: Sent, *, void: str | None = None, wrong: str | None = None
) -> CriterionResult:
    return load.judge(grade, LoadRun(main, void), wrong)


def failed_checks(result: CriterionResult) -> list[str]:
    return [check.id for check in result.checks if check.passed is False]


def test_a_load_that_was_held_passes_with_all_points(grade: Grade) -> None:
    result = judged(grade, sent())
    assert (result.status, result.points) == ("passed", 25)
    assert result.measured["p99_ms"] == pytest.approx(20)
    assert len(grade.series.latency_ms) == len(grade.series.due_s) == COUNT


def test_a_pause_every_fiftieth_request_is_seen(grade: Grade) -> None:
    """Two of a hundred: the median does not see it, p99 does."""
    result = judged(grade, sent(slow=20))
    assert failed_checks(result) == ["p99"]
    assert result.measured["p99_ms"] >= 200
    assert result.measured["p50_ms"] == pytest.approx(20)


def test_the_cause_tells_a_slow_service_from_a_slow_few(grade: Grade) -> None:
    few, all_ = judged(grade, sent(slow=20)), judged(grade, sent(300))
    assert few.cause != all_.cause
    assert all_.cause is not None
    assert "queue" in all_.cause


def test_a_single_lost_request_fails_and_many_leave_no_points(grade: Grade) -> None:
    one, some = judged(grade, sent(failed=1)), judged(grade, sent(failed=10))
    assert failed_checks(one) == ["no-errors"]
    assert 0 < one.points < 25
    assert failed_checks(some)[0] == "no-errors"
    assert some.points == 0
    assert grade.series.latency_ms[-1] is None


def test_nothing_answered_is_no_p99(grade: Grade) -> None:
    result = judged(grade, sent(failed=COUNT))
    assert result.points == 0
    assert "p99_ms" not in result.measured
    result.model_dump_json()


def test_wrong_answers_are_no_load_held(grade: Grade) -> None:
    result = judged(grade, sent(), wrong="all alike")
    assert failed_checks(result) == ["right-under-load"]
    assert result.points == 0


def test_points_fall_with_p99(grade: Grade) -> None:
    points = [judged(grade, sent(p99)).points for p99 in (49, 55, 70, 200, 2000)]
    assert points == sorted(points, reverse=True)
    assert len(set(points)) == len(points)


def test_what_says_nothing_of_the_service_is_not_judged(grade: Grade) -> None:
    result = judged(grade, sent(300), void="busy")
    assert result.status == "not-checked"
    assert "busy" in result.checks[0].text
    assert result.measured["p99_ms"] >= 300  # shown all the same
    assert judged(grade, sent(300), void="busy", wrong="all alike").status == "failed"


def test_a_load_is_void_for_a_reason_and_not_when_it_was_held() -> None:
    assert load._find_void(sent(300), others=0.0) is None
    assert load._find_void(sent(300), others=0.9) is not None
    assert load._find_void(sent(300, cpu_share=0.95), others=0.0) is not None
    assert load._find_void(sent(300, late_ms=30), others=0.0) is not None
    assert load._find_void(sent(20), others=0.9) is None


def steps(*found: tuple[float, float]) -> LoadRun:
    return LoadRun(sent(20), None, [sent(p99, rate=rate) for rate, p99 in found])


def test_the_rate_held_lies_between_the_last_two_steps() -> None:
    assert find_rate_held(LoadRun(sent(300), None)) == 0
    assert find_rate_held(LoadRun(sent(20), None)) == 50
    assert find_rate_held(steps((64, 25), (80, 30))) == 80
    assert 64 < find_rate_held(steps((64, 25), (80, 60))) < 80
    near, far = (find_rate_held(steps((64, 25), (80, p99))) for p99 in (51, 500))
    assert 64 < far < near < 80
    lost = LoadRun(sent(20), None, [sent(25, rate=64), sent(60, rate=80, failed=100)])
    assert find_rate_held(lost) == 64


def test_a_sample_holds_answers_of_status_200_alone() -> None:
    found = sent(failed=COUNT - 5).sample(100, seed=1)
    assert len(found) == 5
