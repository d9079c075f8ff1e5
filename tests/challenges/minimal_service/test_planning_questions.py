"""The plan asks first, and shows its solution after an attempt only."""

from pathlib import Path

import pytest

from challenges.minimal_service.planning_questions import FILE, plan
from learner.errors import LearnerError
from learner.folder import read_json


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKSHOP_FOLDER", str(tmp_path))
    monkeypatch.setenv("WORKSHOP_LANGUAGE", "en")


def test_without_an_answer_there_is_no_solution(capsys: pytest.CaptureFixture[str]) -> None:
    plan("step-1", answer=None)
    said = capsys.readouterr().out
    assert "structural change" in said
    assert "isolated modules" not in said
    assert read_json(FILE) == {}


def test_an_answer_is_stored_and_the_solution_shown(capsys: pytest.CaptureFixture[str]) -> None:
    plan("step-1", answer="Split it into parts.")
    plan("step-2", answer=" The preprocessing code. ")
    said = capsys.readouterr().out
    assert "isolated modules (Preprocessing, Model Definition, Inference Runner)" in said
    assert "coupled with the weights" in said
    assert read_json(FILE) == {
        "step-1": "Split it into parts.",
        "step-2": "The preprocessing code.",
    }


@pytest.mark.parametrize("answer", ["", "   ", "ok", 7])
def test_what_is_no_sentence_is_refused(answer: str) -> None:
    with pytest.raises(LearnerError, match="Write a sentence"):
        plan("step-1", answer=answer)


def test_an_unknown_step_is_named() -> None:
    with pytest.raises(LearnerError, match=r"'step-3'.*step-1, step-2"):
        plan("step-3")
