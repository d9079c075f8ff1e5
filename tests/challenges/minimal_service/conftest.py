"""What tests of the learner's side share."""

from pathlib import Path

import pytest

from challenges.minimal_service.learner_service import lay_out_starter, own_folder


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A learner's folder with the starter in it."""
    monkeypatch.setenv("WORKSHOP_FOLDER", str(tmp_path / "work"))
    monkeypatch.setenv("WORKSHOP_LANGUAGE", "en")
    assert lay_out_starter()
    return own_folder()
