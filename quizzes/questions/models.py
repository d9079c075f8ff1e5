"""What a question is: strict models of the TOML files; the published JSON schema is theirs."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

Slug = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
Experiment = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Notebook = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
"""Name of a lesson's file, without .ipynb."""
Text = Annotated[str, Field(min_length=1, max_length=600)]
Chosen = tuple[str, ...]
Answer = Chosen | float
"""Ids of the chosen options (where an order is asked for: of all, in that order), or a number."""


_WithOptions = TypeVar("_WithOptions", bound=Any)


class Strict(BaseModel):
    """No unknown keys, no conversions, no changes afterwards."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Choice(Strict):
    """An option that is right or wrong, and says why."""

    id: Slug
    text: Text
    correct: bool
    feedback: Text
    misconception: Slug | None = Field(None, description="What whoever chooses it believes.")

    @model_validator(mode="after")
    def _wrong_because(self) -> "Choice":
        if self.correct == (self.misconception is not None):
            raise ValueError(f"option {self.id}: a misconception is named where wrong, only there")
        return self


class Step(Strict):
    """An option of a question that asks for an order."""

    id: Slug
    text: Text
    feedback: Text | None = Field(None, description="Shown when it is the first one out of place.")


class Asked(Strict):
    """What all questions have."""

    id: Slug
    section: Slug = Field(description="Id of the cell that begins the section which proves it.")
    notebook: Notebook | None = Field(
        None, description="Where that section is; the file's lesson if not given."
    )
    evidence: Experiment = Field(
        description="Experiment of quizzes/evidence that shows the answer."
    )
    text: Text


class One(Asked):
    """One option is right: 1 point for it, 0 for another."""

    kind: Literal["one"]
    options: list[Choice] = Field(alias="option", min_length=2, max_length=8)

    @model_validator(mode="after")
    def _one_is_right(self) -> "One":
        if sum(option.correct for option in self.options) != 1:
            raise ValueError(f"question {self.id}: exactly one option must be correct")
        return _unlike(self)


class Several(Asked):
    """Several options are right.

    Points: (right ones chosen - wrong ones chosen) / right ones there are, never below 0.
    """

    kind: Literal["several"]
    options: list[Choice] = Field(alias="option", min_length=3, max_length=8)

    @model_validator(mode="after")
    def _some_are_right(self) -> "Several":
        if not 0 < sum(option.correct for option in self.options) < len(self.options):
            raise ValueError(f"question {self.id}: an option must be correct, and one must not")
        return _unlike(self)


class Number(Asked):
    """A number: 1 point where it is no further from `answer` than `tolerance`, 0 elsewhere."""

    kind: Literal["number"]
    answer: float
    tolerance: float = Field(ge=0)
    unit: Annotated[str, Field(max_length=40)] = ""
    feedback_right: Text
    feedback_low: Text
    feedback_high: Text
    misconception: Slug


class Order(Asked):
    """Options to be put in order, listed in the right one: 1 point for it, 0 for any other."""

    kind: Literal["order"]
    options: list[Step] = Field(alias="option", min_length=3, max_length=8)
    feedback_right: Text
    feedback_wrong: Text
    misconception: Slug

    @model_validator(mode="after")
    def _are_unlike(self) -> "Order":
        return _unlike(self)


Question = One | Several | Number | Order


class QuestionFile(Strict):
    """A file of quizzes/questions: the questions of one lesson."""

    lesson: Notebook = Field(description="Name of the notebook, without .ipynb.")
    questions: list[Annotated[Question, Field(discriminator="kind")]] = Field(
        alias="question", min_length=1
    )


def _unlike(question: _WithOptions) -> _WithOptions:
    for what in ("id", "text"):
        seen = [getattr(option, what) for option in question.options]
        if len(set(seen)) < len(seen):
            raise ValueError(f"question {question.id}: two options have the same {what}")
    return question
