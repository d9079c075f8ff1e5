"""The research model is the same bytes everywhere, whole or not there at all."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from challenges.catalogue import model as catalogue
from challenges.catalogue.model import ModelFolder, make_model
from challenges.catalogue.rows import RARITY
from service.errors import OperatorError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    return make_model(tmp_path_factory.mktemp("model") / "two", editions=2, say=lambda _: None)


def test_it_has_a_label_and_a_row_for_each_class(folder: ModelFolder) -> None:
    from safetensors.torch import load_file

    labels = folder.labels.read_text("utf-8").splitlines()
    state = load_file(folder.weights)
    assert len(labels) == len(set(labels)) == len(state[catalogue.HEAD_BIAS]) == 2000
    assert state[catalogue.HEAD_WEIGHTS].shape == (2000, 1280)
    assert labels[1000] == f"{labels[0]}, variant 1"
    bias = state[catalogue.HEAD_BIAS].numpy()
    np.testing.assert_allclose(bias[:1000] - bias[1000:], RARITY, rtol=1e-4)


def test_a_complete_model_is_left_as_it_is(folder: ModelFolder) -> None:
    before = folder.weights.stat().st_mtime_ns
    said: list[str] = []
    assert make_model(folder.path, editions=2, say=said.append) == folder
    assert (folder.weights.stat().st_mtime_ns, said) == (before, [])


def test_the_same_bytes_are_made_again(folder: ModelFolder, tmp_path: Path) -> None:
    again = make_model(tmp_path / "again", editions=2, say=lambda _: None)
    digests = (folder.path / catalogue.DIGESTS).read_text()
    assert (again.path / catalogue.DIGESTS).read_text() == digests


def test_an_interrupted_model_is_not_complete(folder: ModelFolder, tmp_path: Path) -> None:
    part = ModelFolder(tmp_path / "part")
    part.path.mkdir()
    shutil.copy(folder.labels, part.labels)
    assert not part.complete
    assert folder.complete


def test_a_disk_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OperatorError, match=r"cannot write the model .*1\.1 GB of disk"):
        make_model(tmp_path / "file" / "model", editions=1, say=lambda _: None)
