"""The one grading engine: a question and an answer in, a verdict out. Nothing is read or written.

Points of a question, from 0 to 1:

- one: 1 for the right option, else 0
- several: (right ones chosen - wrong ones chosen) / right ones there are, never below 0
- number: 1 if |answer - right number| <= tolerance, else 0
- order: 1 for the right order, else 0

The score of many questions is the mean of their points. "Correct" means all of the points.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from quizzes.questions.models import Answer, Number, One, Order, Question, Several


class AnswerError(ValueError):
    """An answer that does not fit its question; `code` says how, `detail` which part of it."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code} {detail}".strip())
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Remark:
    """Feedback, and the option that it is on (none where it is on the whole answer)."""

    option: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer is worth, and why."""

    correct: bool
    points: float
    remarks: tuple[Remark, ...]
    """One for each chosen option; one for the whole where there are none to choose."""
    misconceptions: tuple[str, ...] = ()
    more: bool = False
    """All that was chosen is right, but not all that is right was chosen."""


def grade(question: Question, answer: Answer) -> Verdict:
    """Judge one answer. Texts are those of `question`, in whatever language it is.

    Raises:
        AnswerError: the answer is not one to this question (no option of it, too many, …).
    """
    if isinstance(question, Number):
        return _grade_number(question, answer)
    if not isinstance(answer, tuple):
        raise AnswerError("not-options")
    if unknown := [chosen for chosen in answer if chosen not in {o.id for o in question.options}]:
        raise AnswerError("unknown-option", unknown[0])
    if len(set(answer)) < len(answer):
        raise AnswerError("option-twice", next(o for o in answer if answer.count(o) > 1))
    if isinstance(question, Order):
        return _grade_order(question, answer)
    return _grade_choice(question, answer)


def score(points: Iterable[float]) -> float:
    """The mean of the points, rounded to four digits; 0 where there are none."""
    counted = list(points)
    return round(math.fsum(counted) / len(counted), 4) if counted else 0.0


def _grade_choice(question: One | Several, answer: tuple[str, ...]) -> Verdict:
    if not answer:
        raise AnswerError("nothing-chosen")
    if isinstance(question, One) and len(answer) > 1:
        raise AnswerError("only-one")
    chosen = [option for option in question.options if option.id in answer]
    right = sum(option.correct for option in chosen)
    wrong = len(chosen) - right
    wanted = sum(option.correct for option in question.options)
    return Verdict(
        correct=right == wanted and not wrong,
        points=round(max(0, right - wrong) / wanted, 4),
        remarks=tuple(Remark(option.id, option.feedback) for option in chosen),
        misconceptions=tuple(o.misconception for o in chosen if o.misconception is not None),
        more=not wrong and right < wanted,
    )


def _grade_number(question: Number, answer: Answer) -> Verdict:
    if isinstance(answer, tuple | bool) or not math.isfinite(answer):
        raise AnswerError("not-a-number")
    difference = answer - question.answer
    # 0.1 + 0.2 - 0.3 is not 0: what is a tolerance away on paper must count.
    if abs(difference) <= question.tolerance + 1e-9 * max(1.0, abs(question.answer)):
        return Verdict(True, 1.0, (Remark(None, question.feedback_right),))
    text = question.feedback_low if difference < 0 else question.feedback_high
    return Verdict(False, 0.0, (Remark(None, text),), (question.misconception,))


def _grade_order(question: Order, answer: tuple[str, ...]) -> Verdict:
    if len(answer) < len(question.options):
        raise AnswerError("not-all")
    misplaced = [
        option
        for option, chosen in zip(question.options, answer, strict=True)
        if option.id != chosen
    ]
    if not misplaced:
        return Verdict(True, 1.0, (Remark(None, question.feedback_right),))
    remarks = [Remark(None, question.feedback_wrong)]
    if misplaced[0].feedback:
        remarks.append(Remark(misplaced[0].id, misplaced[0].feedback))
    return Verdict(False, 0.0, tuple(remarks), (question.misconception,))
