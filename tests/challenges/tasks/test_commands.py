"""The commands of the tasks, as they are typed, and tasks in a notebook."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from challenges.__main__ import main
from challenges.tasks import display, engine, notebook, progress
from challenges.tasks.catalogue import SOLUTIONS, find, tasks
from challenges.tasks.engine import Outcome
from learner.errors import LearnerError
from learner.paths import ROOT
from tests.challenges.tasks.folders import solved

Run = Callable[..., str]
WRONG = progress.Verdict(passed=False, expected="this", found="that", look="there")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Type a command; what it prints, on one line."""

    def typed(*words: str, status: int = 0) -> str:
        capsys.readouterr()
        assert main(list(words)) == status
        said = capsys.readouterr()
        return " ".join((said.out + said.err).split())

    return typed


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """What a notebook displays."""
    found: list[dict[str, str]] = []

    def keep(content: dict[str, str], **_options: Any) -> None:
        found.append(content)

    monkeypatch.setattr(notebook, "display", keep)
    return found


def answer(monkeypatch: pytest.MonkeyPatch, verdict: progress.Verdict) -> None:
    """Let every check say this."""
    monkeypatch.setattr(engine, "run", lambda *_: Outcome(verdict, ["hello <b>"], 0.0))


def test_a_task_that_is_not_begun_says_what_to_do(run: Run, own: Path) -> None:
    said = run("task", "drain")
    assert "New in" in said
    assert "server.py" in said
    assert find("drain").ask in said
    assert "Then check it: .venv/bin/python -m challenges task drain" in said
    assert (own / "server.py").is_file()
    assert "New in" not in run("task", "drain")


def test_wrong_and_right_are_told(run: Run, own: Path) -> None:
    run("tasks")
    run("task", "latency-percentile")
    (own / "latency.py").write_text("def percentile(a, share=99):\n    return 1\n")
    said = run("task", "latency-percentile", status=1)
    for words in ("Not yet.", "Expected:", "Found: `percentile` returned 1.", "Look at:", "A hint"):
        assert words in said
    solved_file = SOLUTIONS / "latency.py"
    (own / "latency.py").write_text(solved_file.read_text("utf-8"), "utf-8")
    assert "Passed. Compare it with the solution:" in run("task", "latency-percentile")
    assert "✓ latency-percentile" in run("tasks")
    assert f"Tasks passed: 1 of {len(tasks())}" in run("tasks")


def test_hints_come_one_by_one(run: Run) -> None:
    hints = find("drain").hints
    for number in (1, 2, 3, 3):
        said = run("task", "drain", "--hint")
        assert f"hint {number} of 3" in said
        assert " ".join(hints[number - 1].split()) in said


def test_the_solution_opens_after_three_tries(
    run: Run, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, WRONG)
    run("task", "latency-percentile")
    for number in range(3):
        said = run("task", "latency-percentile", "--solution", status=1)
        assert f"So far you have made {number}." in said
        (own / "latency.py").write_text(f"x = {number}\n")
        run("task", "latency-percentile", status=1)
    assert "math.ceil" in run("task", "latency-percentile", "--solution")


def test_the_solution_of_a_shared_file_is_its_place(run: Run, own: Path) -> None:
    progress.record(find("drain"), "1", progress.Verdict(passed=True), is_try=True)
    said = run("task", "drain", "--solution")
    assert "class DrainingServer" in said
    assert "def start(" not in said


def test_progress_shows_tasks_and_challenge(run: Run) -> None:
    said = run("progress")
    parts = [said.index(words) for words in ("# Tasks", "# Challenge")]
    assert parts == sorted(parts)
    assert "repair-predict" in said


def test_an_unknown_name_is_said(run: Run) -> None:
    assert "There is no task 'sleep'. Choose one of: repair-predict," in run(
        "task", "sleep", status=1
    )


def test_hint_and_solution_exclude_each_other() -> None:
    with pytest.raises(SystemExit):
        main(["task", "drain", "--hint", "--solution"])


def test_a_notebook_shows_a_task_and_links_its_file(
    shown: list[dict[str, str]], own: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lessons = tmp_path / "work" / "en"
    lessons.mkdir(parents=True)
    monkeypatch.chdir(lessons)
    notebook.task("drain")
    (only,) = shown
    assert 'href="../service/server.py"' in only["text/html"]
    assert find("drain").ask in only["text/plain"]
    assert "Save the file, then run this cell again" in only["text/plain"]


def test_a_notebook_shows_the_verdict(
    shown: list[dict[str, str]], own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, WRONG)
    solved(own)
    notebook.task("latency-percentile")
    page, plain = shown[-1]["text/html"], shown[-1]["text/plain"]
    assert "<dt>Expected</dt><dd>this</dd>" in page
    assert "hello &lt;b&gt;" in page
    assert "Look at: there" in plain
    assert 'A hint: task("latency-percentile", hint=True)' in plain
    answer(monkeypatch, progress.Verdict(passed=True))
    notebook.task("latency-percentile")
    assert "Passed." in shown[-1]["text/plain"]


def test_a_notebook_shows_hints_and_the_solution(shown: list[dict[str, str]], own: Path) -> None:
    for _number in range(3):
        notebook.task("endpoint", hint=True)
    assert "<pre>" in shown[-1]["text/html"]
    assert "hint 3 of 3" in shown[-1]["text/plain"]
    with pytest.raises(LearnerError, match="The solution opens after a pass"):
        notebook.task("endpoint", solution=True)
    progress.record(find("endpoint"), "1", progress.Verdict(passed=True), is_try=True)
    notebook.task("endpoint", solution=True)
    assert "def add_predict" in shown[-1]["text/plain"]


def test_what_is_no_text_of_a_terminal_is_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    verdict = progress.Verdict(passed=True)
    display.show_outcome(find("drain"), Outcome(verdict, ["a line"], 1.0))
    assert capsys.readouterr().out.splitlines()[:2] == ["  | a line", "Passed."]


def test_the_commands_stand_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    assert "tasks" in said


def test_a_reader_that_leaves_early_costs_no_traceback(own: Path) -> None:
    """`… | head -1`: the pipe is closed before all is printed."""
    command = f"{sys.executable} -m challenges tasks | true"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=ROOT)
    assert done.stderr == ""
