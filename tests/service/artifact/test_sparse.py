"""Writing the sparse form. How close it is to the model is measured at each build."""

from pathlib import Path

import numpy as np
import pytest
from torch import nn

from service.artifact import sparse
from service.artifact.parity import random_crops
from service.artifact.recipe import default_recipe
from service.artifact.sample_photos import OTHER_PICTURES, SAMPLE_PHOTOS
from service.artifact.verify import Bundle
from service.engines import FORMS, SPARSE, load_engine
from service.engines.base import PixelBatch
from service.engines.onnx_runtime import open_session
from service.engines.sparse_onnx import HIGH, KERNEL, count_screened
from service.errors import OperatorError
from service.model_definition import ServingModel
from service.preprocessing import PreprocessingSettings, preprocess


@pytest.fixture(scope="module")
def sparse_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = default_recipe()
    model = ServingModel(recipe.model, recipe.architecture.mean, recipe.architecture.std)
    pictures = [photo.path for photo in OTHER_PICTURES]
    path = tmp_path_factory.mktemp("bundle") / FORMS[SPARSE].file
    sparse.write_sparse(model, path, random_crops(pictures, 44, 1, PreprocessingSettings()))
    return path


@pytest.fixture(scope="module")
def photos() -> PixelBatch:
    return np.stack([preprocess(photo.read()) for photo in SAMPLE_PHOTOS])


def test_the_form_answers_as_the_model_does(
    sparse_file: Path, bundle: Bundle, photos: PixelBatch
) -> None:
    eager = FORMS["eager"]
    reference = load_engine(eager, bundle.path / eager.file, "cpu", threads=1)(photos)
    found = load_engine(FORMS[SPARSE], sparse_file, "cpu", threads=1)(photos)
    assert found.shape == (7, 1000)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    assert np.abs(found - reference).max() < 0.15
    labels = bundle.manifest.labels
    for photo, row in zip(SAMPLE_PHOTOS, found, strict=True):
        assert labels[row.argmax()] in photo.labels


def test_an_answer_does_not_depend_on_the_batch(sparse_file: Path, photos: PixelBatch) -> None:
    engine = load_engine(FORMS[SPARSE], sparse_file, "cpu", threads=1)
    alone = np.concatenate([engine(photo[np.newaxis]) for photo in photos])
    np.testing.assert_allclose(engine(photos), alone, atol=1e-6)


def test_less_than_an_eighth_of_the_weights_is_read(sparse_file: Path, photos: PixelBatch) -> None:
    session = open_session(sparse_file, threads=1)
    chosen, values = session.run(None, {session.get_inputs()[0].name: photos})
    high = np.load(sparse_file.with_name(HIGH), mmap_mode="r")
    assert chosen.shape == values.shape
    screened = count_screened(chosen.shape[1])
    assert 0 < screened / 2 < high.shape[1] / 8  # of each of them half is read
    assert chosen.shape[1] % 4 == screened % 4 == 0
    assert all(len(set(row)) == len(row) for row in chosen.tolist())
    assert (np.diff(np.abs(values), axis=1) <= 0).all()  # the first of them are screened


def test_features_are_kept_until_they_hold_the_energy() -> None:
    features = np.zeros((3, 40), np.float32)
    features[:, 10:16] = 1
    assert sparse._count_features(features) == 8  # 6, and the kernel takes 4 at a time
    features[:2] = 1
    assert sparse._count_features(features) == 40


def test_a_model_without_a_wide_last_layer_is_refused(tmp_path: Path) -> None:
    model = ServingModel(nn.Sequential(nn.Conv2d(3, 8, 1), nn.Flatten()), (0, 0, 0), (1, 1, 1))
    with pytest.raises(OperatorError, match="expected a model whose last layer is a Linear"):
        sparse.write_sparse(model, tmp_path / "sparse" / "f.onnx", np.zeros((2, 8, 8, 3), np.uint8))


def test_without_a_compiler_the_build_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OperatorError, match=r"there is no cc\. Install one"):
        sparse._compile(tmp_path / KERNEL)
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\necho 'stdint.h: No such file' >&2\nexit 1\n")
    compiler.chmod(0o755)
    with pytest.raises(OperatorError, match=r"cannot compile sparse_linear.c: stdint.h: No such"):
        sparse._compile(tmp_path / KERNEL)
