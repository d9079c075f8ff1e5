"""The commands of `python -m quizzes`, in a pipe and when they are interrupted."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from quizzes.questions import all_questions
from service.settings import ROOT
from tests.conftest import wait_until
from tests.quizzes.conftest import QUIZ, count_attempts, pipe_in


def test_progress_as_json_and_reset(learners_folder: Path) -> None:
    pipe_in("1\nq\n")
    done = subprocess.run([*QUIZ, "progress", "--json"], capture_output=True, text=True, cwd=ROOT)
    content = json.loads(done.stdout)
    assert len(content["attempts"]) == 1
    assert {"lesson", "before", "after", "gain"} <= content["lessons"][0].keys()
    done = subprocess.run([*QUIZ, "reset"], capture_output=True, text=True, cwd=ROOT)
    assert "The old progress is kept as" in done.stdout
    assert count_attempts(learners_folder) == 0
    assert len(list(learners_folder.glob("quiz.reset-*.json"))) == 1


def test_progress_as_json_stays_json_when_the_file_was_damaged(learners_folder: Path) -> None:
    learners_folder.mkdir()
    (learners_folder / "quiz.json").write_text("{")
    done = subprocess.run([*QUIZ, "progress", "--json"], capture_output=True, text=True, cwd=ROOT)
    assert json.loads(done.stdout)["attempts"] == []
    assert "was damaged" in done.stderr


def test_an_unknown_lesson_or_question_is_one_line() -> None:
    for arguments in (["--lesson", "9"], ["evidence", "nothing"]):
        done = subprocess.run([*QUIZ, *arguments], capture_output=True, text=True, cwd=ROOT)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1


def test_an_unknown_language_is_one_line() -> None:
    done = pipe_in("", WORKSHOP_LANGUAGE="xx")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: WORKSHOP_LANGUAGE is 'xx'")
    assert done.stderr.count("\n") == 1


def test_a_folder_that_cannot_be_written_to_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    done = pipe_in("1\n", WORKSHOP_FOLDER=str(file))
    assert done.returncode == 2
    assert done.stderr.startswith("error: Cannot write to")


def test_a_closed_pipe_is_no_error() -> None:
    for command in ("export", "--help"):
        line = f"{sys.executable} -m quizzes {command} | head -c 9; exit ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, cwd=ROOT)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("started", [0, 1], ids=["imports", "service"])
def test_control_c_while_an_experiment_runs_is_quiet(started: int) -> None:
    """While it imports its packages, and while the service that it started runs."""
    process = subprocess.Popen(
        [*QUIZ, "evidence", "notebook-in-production"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    while "Measuring" not in process.stdout.readline():
        pass
    program = psutil.Process(process.pid)
    wait_until(lambda: len(program.children()) >= started)
    process.send_signal(signal.SIGINT)
    _out, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, "")


def test_only_the_lessons_questions_are_asked() -> None:
    count = sum(entry.lesson == "05_quiz" for entry in all_questions().values())
    assert count == 3
    assert "2 more after this one" in pipe_in("q\n").stdout
