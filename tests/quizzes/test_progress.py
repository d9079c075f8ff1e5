"""Progress survives restarts, damage and resets."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from quizzes import progress
from quizzes.engine import Verdict, grade
from quizzes.progress import Progress
from quizzes.questions import Answer, all_questions
from service.settings import ROOT
from tests.quizzes.conftest import SAMPLES

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ENTRIES = list(all_questions(SAMPLES).values())
ONE, SEVERAL, NUMBER, ORDER = ENTRIES
RIGHT = Verdict(True, 1.0, ())
WRONG = Verdict(False, 0.0, (), ("bricks-are-fruit",))


def test_attempts_survive_the_process(learners_folder: Path) -> None:
    progress.record("sample-one", ("brick",), WRONG)
    code = (
        "from quizzes.progress import load\n"
        "found = load().attempts[0]\n"
        "print(found.answer, found.misconceptions)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "('brick',) ('bricks-are-fruit',)"
    assert (learners_folder / "quiz.json").exists()


def test_the_seed_is_the_learners_and_stays() -> None:
    assert progress.load().seed == 0
    progress.record("sample-one", ("brick",), WRONG)
    seed = progress.load().seed
    progress.record("sample-number", 20.0, RIGHT)
    assert progress.load().seed == seed > 0
    assert [found.answer for found in progress.load().attempts] == [("brick",), 20.0]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"version": 2, "attempts": []}',
        '{"version": 1, "seed": 0, "attempts": [{"question": "sample-one"}]}',
        '{"version": 1, "seed": 0, "attempts": 7}',
        '{"version": 1, "seed": 0, "attempts": [], "more": 1}',
        '{"version": 1, "attempts": [{"question": "a", "answer": ["b"], "points": 7, '
        '"correct": true, "at": "2026-11-22T08:30:00Z"}]}',
        '{"version": 1, "attempts": [{"question": "a", "answer": ["b"], "points": 1, '
        '"correct": true, "at": "yesterday"}]}',
    ],
)
def test_a_damaged_file_is_kept_aside_and_said_so(
    content: str, learners_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    learners_folder.mkdir()
    (learners_folder / "quiz.json").write_text(content)
    assert progress.load().attempts == []
    said = capsys.readouterr().out
    assert said.startswith("quiz.json was damaged. It is kept as quiz.damaged-")
    assert said.count("\n") == 1
    kept = [path for path in learners_folder.iterdir() if path.name in said]
    assert [path.read_text() for path in kept] == [content]
    progress.record("sample-one", ("apple",), RIGHT)
    assert len(progress.load().attempts) == 1
    assert kept[0].read_text() == content


def test_resets_within_a_second_keep_all_files(
    learners_folder: Path,
) -> None:
    assert progress.reset() is None
    names = set()
    for _round in range(3):
        progress.record("sample-one", ("apple",), RIGHT)
        kept = progress.reset()
        assert kept is not None
        names.add(kept)
    assert len(names) == 3
    assert progress.load().attempts == []
    assert all(len(json.loads((learners_folder / n).read_text())["attempts"]) == 1 for n in names)


def test_stored_attempts_are_read_back() -> None:
    answers: tuple[Answer, ...] = (("apple",), 20.5, ("verify", "load", "warm-up", "listen"))
    for entry, answer in zip((ONE, NUMBER, ORDER), answers, strict=True):
        progress.record(entry.question.id, answer, grade(entry.question, answer))
    found = progress.load()
    assert Progress.model_validate(found.model_dump(mode="json")) == found
    assert [one.answer for one in found.attempts] == list(answers)
