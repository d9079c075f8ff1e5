"""What tests of the learner's side share."""

import argparse
from pathlib import Path

import pytest

from challenges.minimal_service import commands
from challenges.minimal_service.learner_service import own_folder
from challenges.tasks.engine import lay_out
from tests.challenges.minimal_service.own_service import Run


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A learner's folder with the files of the tasks in it."""
    monkeypatch.setenv("WORKSHOP_FOLDER", str(tmp_path / "work"))
    monkeypatch.setenv("WORKSHOP_LANGUAGE", "en")
    assert lay_out()
    return own_folder()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Type a command; return what it prints, on one line."""

    def typed(*words: str, status: int = 0) -> str:
        parser = argparse.ArgumentParser()
        commands.add_commands(parser.add_subparsers(required=True))
        options = parser.parse_args(words)
        capsys.readouterr()
        assert options.do(options) == status
        return " ".join(capsys.readouterr().out.split())

    return typed
