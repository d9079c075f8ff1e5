"""A learner's folder for each test, sample questions, all answers, and the command line."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import combinations, permutations
from pathlib import Path

import pytest

import quizzes.questions as questions
from learner.paths import FOLDER_VARIABLE
from quizzes.questions import Answer, Number, One, Question, Several
from service.settings import ROOT

SAMPLES = Path(__file__).parent / "all_kinds"
MOST_ORDERS = 24
QUIZ = [sys.executable, "-m", "quizzes"]
LECTURE = ["--lesson", "05"]


@pytest.fixture(autouse=True)
def learners_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a fresh folder for progress; the developer's own is never touched."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "work"))
    return tmp_path / "work"


@pytest.fixture
def samples(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace the workshop's questions by four samples, one of each kind."""
    monkeypatch.setattr(questions, "FOLDER", SAMPLES)
    return SAMPLES


def every_answer(question: Question) -> Iterator[Answer]:
    """Yield all answers that fit: each option, each set, each order, numbers at every border."""
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


def edit_sample(old: str, new: str) -> str:
    """Return the sample questions with the first `old` replaced."""
    text = (SAMPLES / "sample.toml").read_text()
    assert old in text
    return text.replace(old, new, 1)


def pipe_in(text: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the lecture's quiz with `text` as its input."""
    return subprocess.run(
        [*QUIZ, *LECTURE, *arguments],
        input=text,
        capture_output=True,
        encoding="utf-8",
        cwd=ROOT,
        env={**os.environ, **variables},
    )


def count_attempts(folder: Path) -> int:
    """Return the number of stored attempts."""
    path = folder / "quiz.json"
    return len(json.loads(path.read_text())["attempts"]) if path.exists() else 0
