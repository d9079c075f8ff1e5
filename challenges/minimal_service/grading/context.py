"""What the criteria of one grade share, and how they report."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from challenges.load.images import distinct_images
from challenges.minimal_service.grading.verdict import (
    POINTS,
    Check,
    CriterionId,
    CriterionResult,
    Machine,
    Series,
)

Say = Callable[[str], None]
"""Receives a line of progress in the learner's language."""
_SMALL = (400, 300)


@dataclass(slots=True)
class Report:
    """The checks and figures that one criterion collects."""

    id: CriterionId
    checks: list[Check] = field(default_factory=list)
    measured: dict[str, float] = field(default_factory=dict)
    cause: str | None = None
    lesson: str | None = None
    share: float = 1.0
    """Factor on the points, for a criterion that is met by degrees."""

    def check(
        self,
        check_id: str,
        passed: bool | None,
        text: str,
        cause: str | None = None,
        **values: object,
    ) -> bool:
        """Add a check and return whether it passed; the first failed one sets the cause.

        Args:
            check_id: kebab-case.
            passed: None: not checked.
            text: what was expected and what was found.
            cause: the likely cause of a failure.
            values: fill the placeholders of `text` and `cause`; without any, both stay as they are.
        """
        if values:
            text, cause = text.format(**values), cause and cause.format(**values)
        self.checks.append(Check(id=check_id, passed=passed, text=text))
        if passed is False and cause and self.cause is None:
            self.cause = cause
        return bool(passed)

    def result(self) -> CriterionResult:
        """Return the result: passed if no check failed and at least one was made."""
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
    """The state that the criteria of one grade share."""

    model: Path
    """The research model: weights.safetensors and labels.txt (`challenges/catalogue`)."""
    quick: bool
    say: Say
    seed: int
    """Seed of photos and arrivals; drawn anew for each grade, so that answers cannot be stored."""
    machine: Machine | None = None
    series: Series = field(default_factory=Series)
    answers: list[list[tuple[int, float]] | None] | None = None
    """The answers to `photos()` of the service in its usual place; None before they are known."""

    def photos(self, count: int) -> list[bytes]:
        """Return the first photos of a series that several criteria send one by one."""
        return distinct_images(count, _SMALL, self.seed)
