"""What the learner did stays: through restarts, damage and resets; and decides what comes next."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from quizzes import progress
from quizzes.engine import Verdict, grade
from quizzes.progress import TIME, Attempt, Progress
from quizzes.questions import Answer, Entry, all_questions
from quizzes.schedule import find_box, select_due, summarise_lessons
from service.settings import ROOT
from tests.quizzes.conftest import SAMPLES

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ENTRIES = list(all_questions(SAMPLES).values())
ONE, SEVERAL, NUMBER, ORDER = ENTRIES
RIGHT = Verdict(True, 1.0, ())
WRONG = Verdict(False, 0.0, (), ("bricks-are-fruit",))


def attempt(entry: Entry, points: float, ago: timedelta = timedelta(0)) -> Attempt:
    return Attempt(
        question=entry.question.id,
        answer=("apple",),
        points=points,
        correct=points == 1,
        at=(NOW - ago).strftime(TIME),
    )


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


def test_resets_and_damages_within_a_second_do_not_overwrite_each_other(
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


def test_boxes() -> None:
    assert find_box([]) == 0
    assert find_box([attempt(ONE, 0)]) == 1
    assert find_box([attempt(ONE, 1)]) == 2
    assert find_box([attempt(ONE, 1)] * 9) == 4
    assert find_box([attempt(ONE, 1), attempt(ONE, 1), attempt(ONE, 0.5)]) == 1
    assert find_box([attempt(ONE, 0), attempt(ONE, 1)]) == 2


def test_missed_questions_come_first_then_new_ones_then_rested_ones() -> None:
    day, hour = timedelta(days=1), timedelta(hours=1)
    attempts = [attempt(ONE, 1, 2 * day), attempt(NUMBER, 1, hour), attempt(ORDER, 0.0, hour)]
    assert select_due(ENTRIES, attempts, NOW) == [ORDER, SEVERAL, ONE]
    assert select_due(ENTRIES, attempts, NOW, everything=True) == [ORDER, SEVERAL, ONE, NUMBER]


def test_what_was_missed_longest_ago_comes_first() -> None:
    hour = timedelta(hours=1)
    attempts = [attempt(NUMBER, 0, 3 * hour), attempt(ONE, 0, hour), attempt(SEVERAL, 0, 2 * hour)]
    assert select_due(ENTRIES, attempts, NOW) == [NUMBER, SEVERAL, ONE, ORDER]


def test_the_more_often_right_the_longer_it_rests() -> None:
    for times, days in ((1, 1), (2, 3), (3, 7), (6, 7)):
        for ago, expected in ((timedelta(days=days, hours=-1), []), (timedelta(days=days), [ONE])):
            assert select_due([ONE], [attempt(ONE, 1, ago)] * times, NOW) == expected


def test_a_clock_that_was_set_back_locks_nothing_away() -> None:
    assert select_due([ONE], [attempt(ONE, 1, timedelta(days=-30))], NOW) == [ONE]


def test_the_gain_is_the_latest_answers_minus_the_first_ones() -> None:
    attempts = [attempt(ONE, 0), attempt(SEVERAL, 0.5), attempt(ONE, 1), attempt(SEVERAL, 1)]
    (lesson,) = summarise_lessons(ENTRIES, attempts)
    assert (lesson.questions, lesson.answered) == (4, 2)
    assert (lesson.before, lesson.after, lesson.gain) == (0.25, 1, 0.75)
    (nothing,) = summarise_lessons(ENTRIES, [])
    assert (nothing.answered, nothing.before, nothing.after, nothing.gain) == (0, 0, 0, 0)


def test_attempts_at_questions_that_are_no_more_do_no_harm() -> None:
    gone = Attempt(question="gone", answer=1.0, points=1, correct=True, at=NOW.strftime(TIME))
    assert select_due(ENTRIES, [gone], NOW) == ENTRIES
    assert summarise_lessons(ENTRIES, [gone])[0].answered == 0


def test_what_is_written_is_what_is_read() -> None:
    answers: tuple[Answer, ...] = (("apple",), 20.5, ("verify", "load", "warm-up", "listen"))
    for entry, answer in zip((ONE, NUMBER, ORDER), answers, strict=True):
        progress.record(entry.question.id, answer, grade(entry.question, answer))
    found = progress.load()
    assert Progress.model_validate(found.model_dump(mode="json")) == found
    assert [one.answer for one in found.attempts] == list(answers)
