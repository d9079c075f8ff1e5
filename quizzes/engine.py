"""The grading engine: from a question and an answer to a verdict. It does no input or output.

Points of a question, from 0 to 1:

- one: 1 for the right option, else 0
- several: (right options chosen - wrong options chosen) / number of right options, at least 0
- number: 1 if |answer - right number| <= tolerance, else 0
- order: 1 for an order that keeps every pair of `before` (without it: for the listed one), else 0

The score of several questions is the mean of their points. "Correct" means full points.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from quizzes.questions.models import Answer, Number, One, Order, Question, Several


class AnswerError(ValueError):
    """The answer does not fit the question; `code` is the reason, `detail` the part concerned."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code} {detail}".strip())
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Remark:
    """Feedback on an option, or on the whole answer (`option` is None)."""

    option: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Points for an answer, and why."""

    correct: bool
    points: float
    remarks: tuple[Remark, ...]
    """One per chosen option; for numbers and orders, on the whole answer."""
    misconceptions: tuple[str, ...] = ()
    more: bool = False
    """Every chosen option is right, but another right option is missing."""


def grade(question: Question, answer: Answer) -> Verdict:
    """Grade one answer. Feedback is in the language of `question`.

    Raises:
        AnswerError: the answer does not fit the question (unknown option, too many options, …).
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
    """Return the mean of the points, rounded to four digits; 0 if there are none."""
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
    # Rounding errors (0.1 + 0.2 - 0.3 is not 0) must not count against the learner.
    if abs(difference) <= question.tolerance + 1e-9 * max(1.0, abs(question.answer)):
        return Verdict(True, 1.0, (Remark(None, question.feedback_right),))
    text = question.feedback_low if difference < 0 else question.feedback_high
    return Verdict(False, 0.0, (Remark(None, text),), (question.misconception,))


def _grade_order(question: Order, answer: tuple[str, ...]) -> Verdict:
    if len(answer) < len(question.options):
        raise AnswerError("not-all")
    early = question.find_early(answer)
    if early is None:
        return Verdict(True, 1.0, (Remark(None, question.feedback_right),))
    remarks = [Remark(None, question.feedback_wrong)]
    text = next(option.feedback for option in question.options if option.id == early)
    if text:
        remarks.append(Remark(early, text))
    return Verdict(False, 0.0, tuple(remarks), (question.misconception,))
