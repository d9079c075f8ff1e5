"""What criteria share: the submission they look at, and how they report."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from challenges.minimal_service.grading.verdict import (
    POINTS,
    Check,
    CriterionId,
    CriterionResult,
    Machine,
    Series,
)

Say = Callable[[str], None]
"""Takes one line of progress in the learner's language."""


@dataclass(slots=True)
class Report:
    """What one criterion collects while it looks."""

    id: CriterionId
    checks: list[Check] = field(default_factory=list)
    measured: dict[str, float] = field(default_factory=dict)
    cause: str | None = None
    lesson: str | None = None
    share: float = 1.0
    """Of the points, for a criterion that is met by degrees; multiplied with that of the checks."""

    def check(
        self, check_id: str, passed: bool | None, text: str, cause: str | None = None
    ) -> bool:
        """Note one check; the first failed one with a cause names the criterion's cause."""
        self.checks.append(Check(id=check_id, passed=passed, text=text))
        if passed is False and cause and self.cause is None:
            self.cause = cause
        return bool(passed)

    def result(self) -> CriterionResult:
        """The criterion's result: passed if no check failed and at least one was made."""
        judged = [check.passed for check in self.checks if check.passed is not None]
        most = POINTS[self.id]
        kept = sum(judged) / len(judged) if judged else 0.0
        passed = bool(judged) and all(judged)
        return CriterionResult(
            id=self.id,
            status="passed" if passed else "failed" if judged else "not-checked",
            points=round(most * kept * self.share, 2),
            most=most,
            checks=self.checks,
            measured=self.measured,
            cause=self.cause,
            lesson=self.lesson,
        )


@dataclass(slots=True)
class Grade:
    """What the criteria of one grade share."""

    folder: Path
    """The submission, a copy that is thrown away afterwards (`submission.py`)."""
    model: Path
    """The research model: weights.safetensors and labels.txt (`challenges/catalogue`)."""
    quick: bool
    say: Say
    seed: int
    """Of this grade's images and arrivals; drawn anew for each grade, so nothing can be learnt."""
    machine: Machine | None = None
    series: Series = field(default_factory=Series)
