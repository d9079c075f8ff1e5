"""The bundle that lessons look at: there, missing, damaged."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from learner import artifact
from learner.errors import LearnerError
from service.settings import DEFAULT_ARTIFACT


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    artifact.bundle.cache_clear()
    yield
    artifact.bundle.cache_clear()


def test_is_verified_once() -> None:
    assert artifact.bundle().path == DEFAULT_ARTIFACT
    assert artifact.bundle() is artifact.bundle()


def test_missing_says_how_to_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifact, "DEFAULT_ARTIFACT", tmp_path / "none")
    with pytest.raises(LearnerError, match="make serve"):
        artifact.bundle()


def test_damaged_says_what_and_how_to_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path(shutil.copytree(DEFAULT_ARTIFACT, tmp_path / "copy"))
    (copy / "weights.safetensors").unlink()
    monkeypatch.setattr(artifact, "DEFAULT_ARTIFACT", copy)
    with pytest.raises(LearnerError, match=r"weights\.safetensors is missing.*make serve"):
        artifact.bundle()
