"""A guess comes first; the learner's own is kept."""

from pathlib import Path
from typing import Any

import pytest

from learner.errors import LearnerError
from learner.folder import read_json
from notebooks.workshop import guesses
from notebooks.workshop.guesses import FILE, Guess, compare, guess_of, predict
from tests.notebooks.workshop.conftest import Shown


@pytest.fixture(autouse=True)
def new_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKSHOP_FOLDER", str(tmp_path))
    monkeypatch.setenv("WORKSHOP_LANGUAGE", "en")
    monkeypatch.setattr(guesses, "_guesses", {})


def test_without_a_guess_there_is_no_measurement() -> None:
    with pytest.raises(LearnerError, match=r'First guess, then measure.*predict\("tail"\)'):
        guess_of("tail")


def test_a_default_stands_in_and_is_not_stored(capsys: pytest.CaptureFixture[str]) -> None:
    predict("tail", guess=None, default=12, unit="ms")
    assert guess_of("tail") == Guess("tail", 12, "ms", own=False)
    assert "so 12 ms stands in" in capsys.readouterr().out
    assert read_json(FILE) == {}


def test_an_own_guess_is_stored_and_may_change(capsys: pytest.CaptureFixture[str]) -> None:
    predict("tail", guess=3, default=12, unit="ms")
    predict("head", guess=1, default=1, unit="ms")
    predict("tail", guess=4.5, default=12, unit="ms")
    assert guess_of("tail") == Guess("tail", 4.5, "ms", own=True)
    assert "Your guess: 4.5 ms" in capsys.readouterr().out
    assert read_json(FILE) == {"tail": 4.5, "head": 1}


@pytest.mark.parametrize("guess", ["3", True, [3]])
def test_what_is_not_a_number_is_refused(guess: Any) -> None:
    with pytest.raises(LearnerError, match=r"is not a number.*guess=12"):
        predict("tail", guess=guess, default=12, unit="ms")


@pytest.mark.parametrize(("own", "whose"), [(True, "your guess"), (False, "stand-in guess")])
def test_guess_and_measurement_are_shown(own: bool, whose: str, shown: Shown) -> None:
    compare(Guess("tail", 12, "ms", own), 20)
    assert shown.text == f"{whose}: 12 ms; measured: 20 ms"
