"""A class is read from a folder of exported progress; other files are named."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from challenges.tasks.catalogue import tasks
from learner.errors import LearnerError
from learner.language import speaking
from quizzes import classroom
from quizzes.questions import all_questions
from service.settings import ROOT
from tests.quizzes.conftest import QUIZ, pipe_in

EMPTY: dict[str, Any] = {"version": 1, "seed": 0, "attempts": []}
ATTEMPT = {"question": "order-of-cells", "answer": ["x"], "points": 1, "correct": True}
TASK = {"tries": ["a"], "passed_at": "2026-11-22T09:00:00Z"}
GRADE = {
    "at": "2026-11-22T10:00:00Z",
    "quick": True,
    "passed": True,
    "score": 101.8,
    "criteria": {},
    "points": {},
    "files": {},
}


@pytest.fixture(autouse=True)
def in_english() -> Any:
    with speaking("en"):
        yield


def write(folder: Path, **files: object) -> Path:
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_an_export_of_a_learner_is_read_by_the_class(learners_folder: Path, tmp_path: Path) -> None:
    pipe_in("1\nq\n")
    folder = tmp_path / "class"
    folder.mkdir()
    done = subprocess.run([*QUIZ, "progress", "--json"], capture_output=True, cwd=ROOT)
    (folder / "anna.json").write_bytes(done.stdout)
    page = tmp_path / "class.html"
    command = [*QUIZ, "progress", "--class", str(folder), "--html", str(page)]
    shown = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.splitlines()[1].startswith("anna ")
    assert ">1/" in page.read_text(encoding="utf-8")


def test_each_learner_is_where_their_latest_work_is(tmp_path: Path) -> None:
    quiz = {**EMPTY, "attempts": [{**ATTEMPT, "at": "2026-11-22T08:00:00Z"}]}
    task = next(one for one in tasks() if one.lesson == 4)
    writing = {**quiz, "tasks": {"version": 1, "tasks": {task.id: TASK}}}
    grading = {**writing, "challenge": {"version": 1, "attempts": [GRADE], "hints": {}}}
    learners, others = classroom.read_class(write(tmp_path, a=EMPTY, b=quiz, c=writing, d=grading))
    assert others == []
    assert [one.lesson for one in learners] == ["", "01", "04", "06"]
    assert [(one.score, one.passed) for one in learners] == [(None, False)] * 3 + [(101.8, True)]
    assert [one.done["01"][0] for one in learners] == [0, 1, 1, 1]
    assert [one.done["04"][0] for one in learners] == [0, 0, 1, 1]
    parts = len(all_questions()) + len(tasks())
    assert all(sum(most for _done, most in one.done.values()) == parts for one in learners)


def test_files_that_are_no_progress_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, anna=EMPTY, wrong={**EMPTY, "attempts": 3}, other=[1], old={"a": 1})
    write(tmp_path, future={**EMPTY, "tasks": {"version": 9}})
    year = {**TASK, "passed_at": "0001-01-01T00:00:00+14:00"}
    write(tmp_path, year={**EMPTY, "tasks": {"version": 1, "tasks": {tasks()[0].id: year}}})
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "photo.jpg").write_bytes(bytes(range(256)))
    (tmp_path / "large.json").write_bytes(b" " * (classroom.MOST_BYTES + 1))
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / os.fsdecode(b"\xff\x1b[2J.json")).write_text("{")
    (tmp_path / ".hidden").write_text("")
    learners, others = classroom.read_class(tmp_path)
    assert [one.name for one in learners] == ["anna"]
    names = {line.partition(":")[0] for line in others}
    assert names == {
        *("wrong.json", "other.json", "old.json", "future.json", "year.json", "deep.json"),
        *("photo.jpg", "large.json", "folder", "pipe", "??[2J.json"),
    }
    classroom.show_class(learners, others)
    assert capsys.readouterr().out.count("No progress file: ") == len(others)


def test_the_page_holds_no_markup_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "<script>x<").with_suffix(".json").write_text(json.dumps(EMPTY))
    (tmp_path / "<img src=x>").write_text("")
    page = classroom.class_page(*classroom.read_class(tmp_path))
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize("made", [True, False])
def test_a_folder_without_progress_is_one_sentence(tmp_path: Path, made: bool) -> None:
    folder = tmp_path / "class"
    if made:
        folder.mkdir()
    with pytest.raises(LearnerError, match=r"progress --json|No such file"):
        classroom.read_class(folder)
