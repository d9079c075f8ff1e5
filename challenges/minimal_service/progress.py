"""The learner's record: each grade of their own service, and the hints that they took."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from challenges.minimal_service.grading.verdict import CriterionId, Verdict
from challenges.minimal_service.learner_service import code_digest, fingerprints, own_folder
from challenges.tasks.catalogue import STUBS
from learner.folder import read_model, write_json

FILE = "challenge.json"
HONEST_ATTEMPTS = 3
"""Number of attempts after which the solution opens without a pass."""

Status = Literal["passed", "failed", "not-checked"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Attempt(_Part):
    """The record of one grade."""

    at: datetime
    quick: bool
    passed: bool
    score: float = Field(ge=0)
    criteria: dict[CriterionId, Status]
    points: dict[CriterionId, float]
    files: dict[str, str]
    """Digests of the graded code (`learner_service.fingerprints`)."""

    @property
    def code(self) -> str:
        """Digest of the graded code."""
        return code_digest(self.files)

    @property
    def failed(self) -> list[CriterionId]:
        """The criteria that were not met, in the order of grading."""
        return [criterion for criterion, status in self.criteria.items() if status == "failed"]


class Progress(_Part):
    """The content of the file; the oldest attempt first."""

    version: Literal[1] = 1
    attempts: list[Attempt] = Field(default_factory=list)
    hints: dict[CriterionId, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    """Number of hints that were shown, by criterion."""

    @property
    def latest(self) -> Attempt | None:
        """The last attempt."""
        return self.attempts[-1] if self.attempts else None

    @property
    def best_first(self) -> list[Attempt]:
        """By passing and score; a full grade precedes a quick one of the same score."""
        return sorted(
            self.attempts, key=lambda one: (one.passed, one.score, not one.quick), reverse=True
        )

    def honest_attempts(self) -> int:
        """Return how many different versions were graded, without the unchanged stubs."""
        return len({one.code for one in self.attempts} - {code_digest(fingerprints(STUBS))})

    def may_see_solution(self) -> bool:
        """Return whether there was a pass, or enough honest attempts."""
        passed = any(one.passed for one in self.attempts)
        return passed or self.honest_attempts() >= HONEST_ATTEMPTS


def load() -> Progress:
    """Return the record in the learner's folder. A damaged file is set aside, with a message."""
    return read_model(FILE, Progress)


def record(verdict: Verdict, files: dict[str, str] | None = None) -> Attempt:
    """Add a verdict on the learner's own service; return it as an attempt.

    Args:
        verdict: the grader's.
        files: `fingerprints` of the graded code; those of the present code if not given.

    Raises:
        LearnerError: the folder cannot be written to.
    """
    attempt = Attempt(
        at=verdict.graded_at.astimezone(UTC),
        quick=verdict.quick,
        passed=verdict.passed,
        score=verdict.score,
        criteria={one.id: one.status for one in verdict.criteria},
        points={one.id: one.points for one in verdict.criteria},
        files=fingerprints(own_folder()) if files is None else files,
    )
    before = load()
    _write(before.model_copy(update={"attempts": [*before.attempts, attempt]}))
    return attempt


def take_hint(criterion: CriterionId, most: int) -> int:
    """Record one more hint, up to the last; return its number, from 1.

    Raises:
        LearnerError: the folder cannot be written to.
    """
    before = load()
    step = min(before.hints.get(criterion, 0) + 1, most)
    _write(before.model_copy(update={"hints": {**before.hints, criterion: step}}))
    return step


def changed_files(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Return the names of files that were added (+), removed (-) or changed between versions."""
    names = sorted({*before, *after})
    return [
        f"+{name}" if name not in before else f"-{name}" if name not in after else name
        for name in names
        if before.get(name) != after.get(name)
    ]


def _write(progress: Progress) -> None:
    write_json(FILE, progress.model_dump(mode="json"))
