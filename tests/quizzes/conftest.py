"""What the quiz's tests share: a learner's folder of their own, and answers to every question."""

from collections.abc import Iterator
from itertools import combinations, permutations
from pathlib import Path

import pytest

import quizzes.questions as questions
from learner.paths import FOLDER_VARIABLE
from quizzes.questions import Answer, Number, One, Question, Several

SAMPLES = Path(__file__).parent / "all_kinds"
MOST_ORDERS = 24


@pytest.fixture(autouse=True)
def learners_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh folder for progress; the developer's own is never touched."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "work"))
    return tmp_path / "work"


@pytest.fixture
def samples(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Instead of the workshop's questions, four samples: one of each kind."""
    monkeypatch.setattr(questions, "FOLDER", SAMPLES)
    return SAMPLES


def every_answer(question: Question) -> Iterator[Answer]:
    """All answers that fit: each option; each set of them; each order; numbers at every border."""
    if isinstance(question, Number):
        yield from (question.answer, -1.0, 0.0)
        for side in (-1, 1):
            for factor in (0.5, 1.0, 1.001, 2.0, 1000.0):
                yield question.answer + side * (factor * question.tolerance + (factor > 1) * 1e-3)
        return
    ids = [option.id for option in question.options]
    if isinstance(question, One):
        yield from ((key,) for key in ids)
    elif isinstance(question, Several):
        for size in range(1, len(ids) + 1):
            yield from combinations(ids, size)
    else:
        orders = list(permutations(ids))
        yield from orders[:: max(1, len(orders) // MOST_ORDERS)]
