"""Attempts are kept, even if the file is damaged; only changed code counts."""

import json
from pathlib import Path

import pytest

from challenges.minimal_service import progress
from challenges.minimal_service.grading.verdict import POINTS, Series
from challenges.minimal_service.learner_service import (
    fingerprints,
)
from challenges.tasks.catalogue import STUBS
from learner.folder import folder
from tests.challenges.minimal_service.own_service import STARTER_MISSES, change, grade
from tests.challenges.minimal_service.verdicts import WHEN, verdict

pytestmark = pytest.mark.usefixtures("own")


def test_an_attempt_is_kept_as_it_was_graded() -> None:
    grade(*STARTER_MISSES, score=61.5)
    (attempt,) = progress.load().attempts
    assert (attempt.score, attempt.quick, attempt.passed) == (61.5, True, False)
    assert attempt.at == WHEN
    assert list(attempt.criteria) == list(POINTS)
    assert tuple(attempt.failed) == STARTER_MISSES
    assert attempt.points["structure"] == pytest.approx(10 / 3)
    assert attempt.files == fingerprints(STUBS)
    assert {"server.py", "service.toml", "Containerfile"} <= set(attempt.files)


def test_what_was_saved_during_a_grade_is_not_what_was_graded(own: Path) -> None:
    before = fingerprints(own)
    change(1)
    progress.record(verdict([], Series()), before)
    assert progress.load().honest_attempts() == 0


def test_hints_and_attempts_do_not_overwrite_each_other() -> None:
    grade("load")
    assert [progress.take_hint("load", 3) for _ in range(4)] == [1, 2, 3, 3]
    assert progress.take_hint("memory", 3) == 1
    grade("load")
    found = progress.load()
    assert found.hints == {"load": 3, "memory": 1}
    assert len(found.attempts) == 2


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "",
        "[1]",
        '{"version": 2}',
        '{"attempts": 7}',
        '{"hints": {"speed": 1}}',
        '{"hints": {"load": -5}}',
        '{"attempts": [{"at": "yesterday"}]}',
        "\x00\ufffd",
    ],
)
def test_a_damaged_file_is_kept_aside(content: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder() / progress.FILE
    path.write_text(content, encoding="utf-8")
    assert progress.load() == progress.Progress()
    assert "was damaged" in capsys.readouterr().out
    assert [one.read_text(encoding="utf-8") for one in folder().glob("*damaged*")] == [content]
    grade()
    assert len(progress.load().attempts) == 1


def test_an_empty_object_is_no_damage(capsys: pytest.CaptureFixture[str]) -> None:
    (folder() / progress.FILE).write_text("{}")
    assert progress.load() == progress.Progress()
    assert capsys.readouterr().out == ""


def test_the_best_come_first() -> None:
    for score, quick in ((70.0, True), (90.0, True), (90.0, False), (40.0, False)):
        grade("load", score=score, quick=quick)
    grade(score=60.0)
    best = [(one.score, one.quick) for one in progress.load().best_first]
    assert best == [(60.0, True), (90.0, False), (90.0, True), (70.0, True), (40.0, False)]


def test_only_changed_code_is_an_honest_attempt() -> None:
    def honest() -> int:
        return progress.load().honest_attempts()

    grade("load")
    assert honest() == 0, "the stubs as they are"
    change(1)
    for _ in range(3):
        grade("load")
    assert honest() == 1, "the same three times"
    change(2)
    grade("load")
    change(1)
    grade("load")
    assert honest() == 2, "back to a version that was graded"
    assert not progress.load().may_see_solution()
    change(3)
    grade("load")
    assert progress.load().may_see_solution()


def test_a_pass_opens_the_solution() -> None:
    change(1)
    grade(score=100.0)
    assert progress.load().may_see_solution()


def test_changed_files_are_named() -> None:
    before, after = {"a": "1", "b": "1", "c": "1"}, {"a": "1", "b": "2", "d": "1"}
    assert progress.changed_files(before, after) == ["b", "-c", "+d"]


def test_what_is_stored_is_json_of_a_known_form() -> None:
    grade("load")
    content = json.loads((folder() / progress.FILE).read_text(encoding="utf-8"))
    assert set(content) == {"version", "attempts", "hints"}
    assert progress.Progress.model_validate(content).latest == progress.load().latest
