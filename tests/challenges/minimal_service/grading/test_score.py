"""The score is monotone, bounded, and small changes change it little."""

import itertools
import math

import pytest

from challenges.minimal_service.grading.score import MOST, beyond, score
from challenges.minimal_service.grading.verdict import POINTS, CriterionId, CriterionResult


def criteria(**changed: CriterionResult) -> list[CriterionResult]:
    def passed(criterion: CriterionId, measured: dict[str, float]) -> CriterionResult:
        most = POINTS[criterion]
        return CriterionResult(
            id=criterion, status="passed", points=most, most=most, checks=[], measured=measured
        )

    measured: dict[str, dict[str, float]] = {
        "answers": {"median_difference": 0.014},
        "load": {"rate_per_s": 50, "held_per_s": 100, "p99_ms": 25},
    }
    found = {name: passed(name, measured.get(name, {})) for name in POINTS}
    return [changed.get(name, result) for name, result in found.items()]


def test_all_criteria_are_100_points_and_more_adds() -> None:
    assert sum(POINTS.values()) == 100
    assert score(criteria()) == pytest.approx(100 + 10 + 5 + 3, abs=0.05)


def test_nothing_is_added_without_right_answers_and_a_held_load() -> None:
    for name in ("answers", "load"):
        [whole] = [one for one in criteria() if one.id == name]
        failed = whole.model_copy(update={"status": "failed", "points": 0})
        assert score(criteria(**{name: failed})) == 100 - whole.most


def test_more_is_never_worse_and_never_boundless() -> None:
    rates = [beyond(50, held, 25, 0.01) for held in (50, 64, 80, 100, 160, 200, 10_000)]
    tails = [beyond(50, 100, p99, 0.01) for p99 in (50, 45, 30, 10, 0)]
    truths = [beyond(50, 100, 25, off) for off in (0.035, 0.02, 0.01, 0.0)]
    for series in (rates, tails, truths):
        assert series == sorted(series)
        assert series[0] < series[-2]
    assert beyond(50, math.inf, 0, 0) == pytest.approx(MOST - 100)
    assert beyond(50, 0, math.inf, 1) == 0


def test_noise_moves_the_score_by_less_than_five_points() -> None:
    """15 % in the rate that is held, 4 ms in p99, a tenth in the difference."""
    found = [
        beyond(50, held, p99, off)
        for held, p99, off in itertools.product((92, 108), (23, 27), (0.0133, 0.0147))
    ]
    assert max(found) - min(found) < 5


def test_a_quick_grade_has_no_throughput_in_its_score() -> None:
    [load] = [one for one in criteria() if one.id == "load"]
    quick = load.model_copy(update={"measured": {"rate_per_s": 50, "p99_ms": 25}})
    assert score(criteria(load=quick)) == pytest.approx(score(criteria()) - 10, abs=0.05)
