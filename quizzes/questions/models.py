"""Strict models of the question files, and the JSON schema that is published from them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

Slug = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
Experiment = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Notebook = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
"""Name of a lesson's file, without .ipynb."""
PUBLISHED = Path(__file__).resolve().parent.parent / "questions.schema.json"
Text = Annotated[str, Field(min_length=1, max_length=600)]
Chosen = tuple[str, ...]
Answer = Chosen | float
"""Ids of the chosen options (for a question of order: all of them, in order), or a number."""


_WithOptions = TypeVar("_WithOptions", bound=Any)


class Strict(BaseModel):
    """A model without unknown keys, conversions, or later changes."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Choice(Strict):
    """An option that is right or wrong, with feedback."""

    id: Slug
    text: Text
    correct: bool
    feedback: Text
    misconception: Slug | None = Field(
        None, description="The wrong belief of a learner who chooses it."
    )

    @model_validator(mode="after")
    def _wrong_because(self) -> "Choice":
        if self.correct == (self.misconception is not None):
            raise ValueError(f"option {self.id}: a misconception is named where wrong, only there")
        return self


class Step(Strict):
    """An option of a question of order."""

    id: Slug
    text: Text
    feedback: Text | None = Field(
        None, description="Shown if it is the first option that stands too early."
    )


class Asked(Strict):
    """The fields of all questions."""

    id: Slug
    section: Slug = Field(description="Id of the first cell of the section that proves the answer.")
    notebook: Notebook | None = Field(
        None, description="The notebook of that section; by default the file's lesson."
    )
    evidence: Experiment = Field(
        description="Experiment of quizzes/evidence that shows the answer."
    )
    text: Text


class One(Asked):
    """One option is right: 1 point for it, 0 for any other."""

    kind: Literal["one"]
    options: list[Choice] = Field(alias="option", min_length=2, max_length=8)

    @model_validator(mode="after")
    def _one_is_right(self) -> "One":
        if sum(option.correct for option in self.options) != 1:
            raise ValueError(f"question {self.id}: exactly one option must be correct")
        return _require_unlike(self)


class Several(Asked):
    """Several options are right.

    Points: (right options chosen - wrong options chosen) / number of right options, at least 0.
    """

    kind: Literal["several"]
    options: list[Choice] = Field(alias="option", min_length=3, max_length=8)

    @model_validator(mode="after")
    def _some_are_right(self) -> "Several":
        if not 0 < sum(option.correct for option in self.options) < len(self.options):
            raise ValueError(f"question {self.id}: an option must be correct, and one must not")
        return _require_unlike(self)


class Number(Asked):
    """A number: 1 point if it differs from `answer` by at most `tolerance`, 0 otherwise."""

    kind: Literal["number"]
    answer: float
    tolerance: float = Field(ge=0)
    unit: Annotated[str, Field(max_length=40)] = ""
    feedback_right: Text
    feedback_low: Text
    feedback_high: Text
    misconception: Slug


class Order(Asked):
    """Options to be put in order: 1 point for a right order, 0 for any other.

    The file lists them in a right order. Without `before` it is the only one.
    """

    kind: Literal["order"]
    options: list[Step] = Field(alias="option", min_length=3, max_length=8)
    before: list[Annotated[list[Slug], Field(min_length=2, max_length=2)]] = Field(
        default_factory=list,
        description="Pairs of option ids: the first must come before the second. Every order "
        "that keeps all pairs is right.",
    )
    feedback_right: Text
    feedback_wrong: Text
    misconception: Slug

    @model_validator(mode="after")
    def _are_unlike(self) -> "Order":
        return _require_unlike(self)

    @model_validator(mode="after")
    def _listed_order_is_right(self) -> "Order":
        ids = [option.id for option in self.options]
        for pair in self.before:
            if unknown := [name for name in pair if name not in ids]:
                raise ValueError(f"question {self.id}: before has {unknown[0]}, which is no option")
        if early := self.find_early(ids):
            raise ValueError(f"question {self.id}: its own order breaks before at {early}")
        return self

    def find_early(self, order: Sequence[str]) -> str | None:
        """Return the first option in `order` that stands before one that must precede it.

        Args:
            order: ids of all options, in the order of an answer.

        Returns:
            Its id, or None if the order is right.
        """
        if not self.before:
            listed = [option.id for option in self.options]
            return next((b for a, b in zip(listed, order, strict=True) if a != b), None)
        place = {name: number for number, name in enumerate(order)}
        early = {second for first, second in self.before if place[second] < place[first]}
        return next((name for name in order if name in early), None)


Question = One | Several | Number | Order


class QuestionFile(Strict):
    """A file of quizzes/questions: the questions of one lesson."""

    lesson: Notebook = Field(description="Name of the notebook, without .ipynb.")
    questions: list[Annotated[Question, Field(discriminator="kind")]] = Field(
        alias="question", min_length=1
    )


def schema() -> str:
    """Return the JSON schema of the question files."""
    content = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **QuestionFile.model_json_schema(by_alias=True),
        "title": "Questions of one lesson",
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def write_schema() -> Path:
    """Write the schema to `PUBLISHED`: `python -m quizzes schema`."""
    PUBLISHED.write_text(schema(), encoding="utf-8")
    return PUBLISHED


def _require_unlike(question: _WithOptions) -> _WithOptions:
    for what in ("id", "text"):
        seen = [getattr(option, what) for option in question.options]
        if len(set(seen)) < len(seen):
            raise ValueError(f"question {question.id}: two options have the same {what}")
    return question
