"""Each check fails where the stub still stands, passes the solution, and notices wrong code."""

from pathlib import Path

import pytest

from challenges.tasks.catalogue import Task, find, tasks
from challenges.tasks.checks.ci_gate import _names_share
from challenges.tasks.engine import Outcome, run
from learner.language import speaking
from tests.challenges.tasks.folders import edited, grown, unsolved
from tests.challenges.tasks.wrong_code import WRONG, Edit

with speaking("en"):
    TASKS = tasks()
each_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.id)


def is_verdict(outcome: Outcome) -> bool:
    """Three sentences for a learner, no traceback."""
    found = outcome.verdict
    texts = (found.expected, found.found, found.look)
    return all(text and "Traceback" not in text and len(text) < 700 for text in texts)


@each_task
def test_the_stub_fails(task: Task, tmp_path: Path) -> None:
    outcome = run(task, unsolved(task, tmp_path / "service"))
    assert not outcome.verdict.passed
    assert is_verdict(outcome), outcome


@each_task
def test_the_solution_passes(task: Task, tmp_path: Path) -> None:
    """Also where the tasks after it are not solved yet."""
    outcome = run(task, grown(task, tmp_path / "service"))
    assert outcome.verdict.passed, outcome


@pytest.mark.parametrize(
    ("name", "edit"),
    [
        pytest.param(name, edit, id=f"{name}: {what}")
        for name, edits in WRONG.items()
        for what, edit in edits.items()
    ],
)
def test_wrong_code_is_noticed(name: str, edit: Edit, tmp_path: Path) -> None:
    task = find(name)
    outcome = run(task, edited(task, tmp_path / "service", edit.old, edit.new))
    assert not outcome.verdict.passed
    assert is_verdict(outcome), outcome
    texts = (outcome.verdict.expected, outcome.verdict.found, outcome.verdict.look)
    assert edit.named in " ".join(texts), outcome


@pytest.mark.parametrize("words", ["refused: only 93.8% are the same", "refused: share 0.9375"])
def test_a_gate_may_round_its_share_as_it_likes(words: str) -> None:
    assert _names_share(words, "94")
    assert not _names_share(words, "88")
