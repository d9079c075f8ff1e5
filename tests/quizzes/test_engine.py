"""The published formulas, in numbers."""

import math
import tomllib

import pytest

from quizzes.engine import AnswerError, grade, score
from quizzes.questions import Answer, Order, Question, QuestionFile, all_questions, option_order
from tests.quizzes.conftest import SAMPLES, edit_sample, every_answer


def sample(kind: str) -> Question:
    return all_questions(SAMPLES)[f"sample-{kind}"].question


@pytest.mark.parametrize(
    ("chosen", "points", "correct"),
    [
        (("two", "four", "six"), 1, True),
        (("six", "two", "four"), 1, True),
        (("two",), 0.3333, False),
        (("two", "four"), 0.6667, False),
        (("two", "four", "three"), 0.3333, False),
        (("two", "three"), 0, False),
        (("two", "three", "five"), 0, False),
        (("two", "three", "four", "five", "six"), 0.3333, False),
    ],
)
def test_several_right_minus_wrong_over_right(chosen: Answer, points: float, correct: bool) -> None:
    verdict = grade(sample("several"), chosen)
    assert (verdict.points, verdict.correct) == (points, correct)


def test_each_option_has_a_remark_a_wrong_one_a_misconception() -> None:
    verdict = grade(sample("several"), ("two", "three"))
    assert [remark.option for remark in verdict.remarks] == ["two", "three"]
    assert verdict.misconceptions == ("odd-is-even",)
    assert not verdict.more
    assert grade(sample("several"), ("two",)).more


@pytest.mark.parametrize(
    ("number", "points", "text"),
    [
        (20, 1, "Twenty it is."),
        (19.5, 1, "Twenty it is."),
        (20.5, 1, "Twenty it is."),
        (19.4999, 0, "It takes longer."),
        (20.5001, 0, "It takes less."),
        (-20, 0, "It takes longer."),
    ],
)
def test_a_number_within_its_tolerance(number: float, points: float, text: str) -> None:
    verdict = grade(sample("number"), float(number))
    assert verdict.points == points
    assert verdict.correct == bool(points)
    assert verdict.remarks[0].text == text
    assert verdict.misconceptions == (() if points else ("waiting-is-free",))


def test_an_order_is_right_or_not() -> None:
    right = ("verify", "load", "warm-up", "listen")
    assert grade(sample("order"), right).correct
    verdict = grade(sample("order"), ("load", "verify", "warm-up", "listen"))
    assert (verdict.points, verdict.misconceptions) == (0, ("order-does-not-matter",))
    assert [remark.text for remark in verdict.remarks] == [
        "Not in this order.",
        "Loading opens the files, so it comes after verify.",
    ]


PAIRS = 'kind = "order"\nbefore = [["verify", "load"], ["load", "listen"], ["warm-up", "listen"]]'


def constrained(pairs: str = PAIRS) -> Order:
    """Return the sample of order with constraints instead of one right order."""
    content = tomllib.loads(edit_sample('kind = "order"', pairs))
    (question,) = (q for q in QuestionFile.model_validate(content).questions if q.kind == "order")
    return question


@pytest.mark.parametrize(
    ("order", "early"),
    [
        (("verify", "load", "warm-up", "listen"), None),
        (("warm-up", "verify", "load", "listen"), None),
        (("load", "verify", "warm-up", "listen"), "load"),
        (("listen", "verify", "load", "warm-up"), "listen"),
        (("verify", "load", "listen", "warm-up"), "listen"),
    ],
)
def test_every_order_that_keeps_the_pairs_is_right(
    order: tuple[str, ...], early: str | None
) -> None:
    question = constrained()
    verdict = grade(question, order)
    assert verdict.correct == (early is None)
    told = [remark.option for remark in verdict.remarks]
    assert told == ([None, "load"] if early == "load" else [None]), "only load has a feedback"
    assert question.find_early(order) == early


def test_no_right_order_is_shown_to_begin_with() -> None:
    question = constrained()
    for seed in range(50):
        assert question.find_early(option_order(question, str(seed))) is not None


@pytest.mark.parametrize("pair", ['["load", "verify"]', '["load", "nothing"]', '["load"]'])
def test_pairs_that_the_listed_order_breaks_are_refused(pair: str) -> None:
    with pytest.raises(ValueError, match="before"):
        constrained(f'kind = "order"\nbefore = [{pair}]')


@pytest.mark.parametrize(
    ("kind", "answer", "code"),
    [
        ("one", (), "nothing-chosen"),
        ("one", ("apple", "brick"), "only-one"),
        ("one", ("apple", "apple"), "option-twice"),
        ("one", ("stone",), "unknown-option"),
        ("one", 1.0, "not-options"),
        ("several", (), "nothing-chosen"),
        ("several", ("two", "two"), "option-twice"),
        ("several", 2.0, "not-options"),
        ("number", ("20",), "not-a-number"),
        ("number", math.nan, "not-a-number"),
        ("number", math.inf, "not-a-number"),
        ("number", True, "not-a-number"),
        ("order", ("verify",), "not-all"),
        ("order", (), "not-all"),
        ("order", ("verify", "verify", "load", "listen"), "option-twice"),
    ],
)
def test_an_answer_that_does_not_fit_is_no_wrong_answer(
    kind: str, answer: Answer, code: str
) -> None:
    with pytest.raises(AnswerError) as refused:
        grade(sample(kind), answer)
    assert refused.value.code == code


def test_every_answer_gets_feedback_and_0_to_1_points() -> None:
    for entry in all_questions().values():
        verdicts = [grade(entry.question, answer) for answer in every_answer(entry.question)]
        assert all(0 <= verdict.points <= 1 and verdict.remarks for verdict in verdicts)
        assert all(verdict.correct == (verdict.points == 1) for verdict in verdicts)
        assert all(v.correct or v.more or v.misconceptions for v in verdicts)
        assert sum(verdict.correct for verdict in verdicts) >= 1


def test_the_score_is_the_mean() -> None:
    assert score([]) == 0
    assert score([1, 0, 0.5]) == 0.5
    assert score([1, 1, 0]) == 0.6667
