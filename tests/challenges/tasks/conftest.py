"""A learner's folder of its own for each test."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the learner's service will lie."""
    monkeypatch.setenv("WORKSHOP_FOLDER", str(tmp_path / "work"))
    monkeypatch.setenv("WORKSHOP_LANGUAGE", "en")
    return tmp_path / "work" / "service"
