"""A learner's folder for the tests of the lab."""

from pathlib import Path

import pytest


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A learner's empty folder."""
    monkeypatch.setenv("WORKSHOP_FOLDER", str(tmp_path / "work"))
    return tmp_path / "work"
