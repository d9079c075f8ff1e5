"""The learner's progress: all attempts, stored in the learner's folder."""

import random
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

from learner.folder import folder, read_model, set_aside, write_json
from quizzes.engine import Verdict
from quizzes.questions.models import Answer, Slug, Strict

FILE = "quiz.json"
TIME = "%Y-%m-%dT%H:%M:%SZ"


class Attempt(Strict):
    """One answer to one question, with its points."""

    question: Slug
    answer: Annotated[Answer, BeforeValidator(lambda a: tuple(a) if isinstance(a, list) else a)]
    points: float = Field(ge=0, le=1)
    correct: bool
    misconceptions: Annotated[
        tuple[str, ...], BeforeValidator(lambda a: tuple(a) if isinstance(a, list) else a)
    ] = ()
    at: str = Field(description="UTC, as 2026-11-22T08:30:00Z.")

    @property
    def time(self) -> datetime:
        """`at` as a date with time zone."""
        return datetime.strptime(self.at, TIME).replace(tzinfo=UTC)

    @field_validator("at")
    @classmethod
    def _is_a_time(cls, text: str) -> str:
        datetime.strptime(text, TIME)
        return text


class Progress(Strict):
    """The content of the file."""

    version: Literal[1] = 1
    seed: int = Field(0, description="Shuffles this learner's options.")
    attempts: list[Attempt] = Field(default_factory=list)

    def of(self, question: str) -> list[Attempt]:
        """Return the attempts at one question, oldest first."""
        return [attempt for attempt in self.attempts if attempt.question == question]


def load() -> Progress:
    """Read the progress. A damaged file is renamed and reported, and the progress is empty."""
    return read_model(FILE, Progress)


def record(question: str, answer: Answer, verdict: Verdict) -> None:
    """Store an attempt.

    Raises:
        LearnerError: the folder cannot be written to.
    """
    before = load()
    attempt = Attempt(
        question=question,
        answer=answer,
        points=verdict.points,
        correct=verdict.correct,
        misconceptions=verdict.misconceptions,
        at=datetime.now(UTC).strftime(TIME),
    )
    seed = before.seed or random.SystemRandom().randrange(1, 2**31)
    after = Progress(seed=seed, attempts=[*before.attempts, attempt])
    write_json(FILE, after.model_dump(mode="json"))


def reset() -> str | None:
    """Start again. Return the name under which the old file is kept; None if there was none."""
    path = folder() / FILE
    return set_aside(path, "reset").name if path.exists() else None
