"""What tests of the learner's side share: a folder of their own, and made-up grades in it."""

from pathlib import Path

import pytest

from challenges.minimal_service import progress
from challenges.minimal_service.grading.verdict import POINTS, CriterionId, Series
from challenges.minimal_service.learner_service import lay_out_starter, own_folder
from tests.challenges.minimal_service.verdicts import criterion, verdict

STARTER_MISSES: tuple[CriterionId, ...] = ("structure", "load-once", "load")


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A learner's folder with the starter in it."""
    monkeypatch.setenv("WORKSHOP_FOLDER", str(tmp_path / "work"))
    monkeypatch.setenv("WORKSHOP_LANGUAGE", "en")
    assert lay_out_starter()
    return own_folder()


def change(number: int) -> None:
    """Another version of the code."""
    (own_folder() / "server.py").write_text(f"version = {number}\n", encoding="utf-8")


def grade(*misses: CriterionId, score: float = 40.0, quick: bool = True) -> progress.Attempt:
    """Record a verdict on the code as it is."""
    results = [criterion(name, "failed" if name in misses else "passed") for name in POINTS]
    return progress.record(verdict(results, Series(), score=score, quick=quick))
