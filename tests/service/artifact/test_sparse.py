"""A classifier of which only the weights of an image's largest features are read: its kernel and
form. Whether the form is close enough to the model is measured at each build (parity.py)."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from service.artifact import sparse
from service.artifact.crops import random_crops
from service.artifact.recipe import default_recipe
from service.artifact.sample_photos import OTHER_PICTURES, SAMPLE_PHOTOS
from service.artifact.verify import Bundle
from service.engines import FORMS, SPARSE, load_engine
from service.engines.base import PixelBatch
from service.engines.onnx_runtime import open_session
from service.engines.sparse_onnx import (
    CLASSES,
    HIGH,
    KERNEL,
    LOW,
    MOST,
    REFINED,
    SparseLinear,
    screened_of,
)
from service.errors import OperatorError
from service.model_definition import ServingModel
from service.preprocessing import PreprocessingSettings, preprocess

FEATURES = 25
"""Odd: then a class's last byte holds one half."""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kernel") / KERNEL
    sparse._compile(path)
    return path


def layer(
    folder: Path, kernel: Path, weights: npt.NDArray[np.float32], bias: npt.NDArray[np.float32]
) -> SparseLinear:
    """Write and load a layer of the weights given, classes × features."""
    shutil.copyfile(kernel, folder / KERNEL)
    linear = nn.Linear(*weights.shape[::-1])
    linear.weight.data, linear.bias.data = map(torch.from_numpy, (weights, bias))
    sparse._write_classifier(folder, linear, np.zeros(weights.shape[1], np.float32))
    return SparseLinear(folder)


def in_order(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The largest first, as the graph of the features gives them."""
    return values[np.argsort(-np.abs(values))]


@pytest.mark.parametrize("classes", [1, 1000, sparse.TILE, sparse.TILE + 1, 3 * sparse.TILE - 1])
@pytest.mark.parametrize("kept", [4, 12, 24])
def test_the_kernel_adds_up_what_numpy_does(
    tmp_path: Path, kernel: Path, classes: int, kept: int
) -> None:
    random = np.random.default_rng(classes)
    whole = random.integers(-MOST, MOST + 1, (classes, FEATURES)).astype(np.float32)
    whole[:, -1] = MOST  # so that a class's step is 1, and no weight is rounded
    bias = random.standard_normal(classes, np.float32)
    chosen = random.permutation(FEATURES)[:kept]
    values = random.integers(-MOST, MOST + 1, kept).astype(np.float32)
    values[0] = MOST
    values = in_order(values)
    logits = layer(tmp_path, kernel, whole, bias)(chosen, values)
    assert logits.dtype == np.float32
    some = screened_of(kept)
    halves = (whole[:, chosen[:some]] + 128) // 16 * 16 + 7.5 - 128  # the low half is not read
    expected = halves @ values[:some] + bias
    best = np.argsort(-expected)[:REFINED]
    whole_sums = whole[np.ix_(best, chosen)] @ values + bias[best]
    expected[best] = whole_sums - (whole_sums - expected[best]).mean()
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_largest_sums_do_not_overflow(tmp_path: Path, kernel: Path, sign: int) -> None:
    whole = np.full((100, FEATURES), sign * MOST, np.float32)
    linear = layer(tmp_path, kernel, whole, np.zeros(100, np.float32))
    logits = linear(np.arange(24), np.full(24, -MOST, np.float32))
    half = (sign * MOST + 128) // 16 * 16 + 7.5 - 128
    # All classes are alike: what was computed again is shifted to where the others are.
    np.testing.assert_allclose(logits, -MOST * screened_of(24) * half, rtol=1e-5)


@pytest.mark.parametrize(("some", "others"), [(MOST, 0), (0, -MOST)])
def test_the_largest_sums_of_the_best_do_not_overflow(
    tmp_path: Path, kernel: Path, some: int, others: int
) -> None:
    weights = np.full((100, FEATURES), others, np.float32)
    weights[:10] = some
    logits = layer(tmp_path, kernel, weights, np.zeros(100, np.float32))(
        np.arange(24), np.full(24, MOST, np.float32)
    )
    exact = np.isclose(logits[0] - logits[10:], 24 * MOST**2, rtol=1e-5)
    assert exact.sum() == REFINED - 10


def test_the_best_classes_are_computed_from_all_that_is_read(tmp_path: Path, kernel: Path) -> None:
    random = np.random.default_rng(1)
    weights = random.standard_normal((20_000, FEATURES), np.float32)
    values = np.float32(0.8) ** np.arange(24, dtype=np.float32)  # few are large, as after a ReLU
    logits = layer(tmp_path, kernel, weights, np.zeros(20_000, np.float32))(np.arange(24), values)
    whole = weights[:, :24] @ values
    best = np.argsort(-whole)[:5]
    np.testing.assert_array_equal(np.argsort(-logits)[:5], best)
    off = logits - whole
    assert np.ptp(off[best]) < 0.05
    assert np.ptp(off) > 0.3  # of the others, less was read


def test_an_image_without_features_gets_the_biases(tmp_path: Path, kernel: Path) -> None:
    bias = np.arange(7, dtype=np.float32)
    linear = layer(tmp_path, kernel, np.zeros((7, FEATURES), np.float32), bias)
    np.testing.assert_array_equal(linear(np.arange(4), np.zeros(4, np.float32)), bias)


def test_threads_share_a_layer(tmp_path: Path, kernel: Path) -> None:
    random = np.random.default_rng(0)
    weights = random.standard_normal((20_000, FEATURES), np.float32)
    linear = layer(tmp_path, kernel, weights, np.zeros(20_000, np.float32))
    images = [
        (random.permutation(FEATURES)[:8], in_order(random.random(8, np.float32)))
        for _ in range(40)
    ]
    alone = [linear(*image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda image: linear(*image), images))
    np.testing.assert_array_equal(together, alone)


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


def test_what_an_image_gets_does_not_hang_on_its_neighbours(
    sparse_file: Path, photos: PixelBatch
) -> None:
    engine = load_engine(FORMS[SPARSE], sparse_file, "cpu", threads=1)
    alone = np.concatenate([engine(photo[np.newaxis]) for photo in photos])
    np.testing.assert_allclose(engine(photos), alone, atol=1e-6)


def test_less_than_an_eighth_of_the_weights_is_read(sparse_file: Path, photos: PixelBatch) -> None:
    session = open_session(sparse_file, threads=1)
    chosen, values = session.run(None, {session.get_inputs()[0].name: photos})
    high = np.load(sparse_file.with_name(HIGH), mmap_mode="r")
    assert chosen.shape == values.shape
    screened = screened_of(chosen.shape[1])
    assert 0 < screened / 2 < high.shape[1] / 8  # of each of them half is read
    assert chosen.shape[1] % 4 == screened % 4 == 0
    assert all(len(set(row)) == len(row) for row in chosen.tolist())
    assert (np.diff(np.abs(values), axis=1) <= 0).all()  # the first of them are screened


def test_so_many_features_are_kept_as_hold_the_energy() -> None:
    features = np.zeros((3, 40), np.float32)
    features[:, 10:16] = 1
    assert sparse._enough(features) == 8  # 6, and the kernel takes 4 at a time
    features[:2] = 1
    assert sparse._enough(features) == 40


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


def test_a_kernel_of_another_machine_is_no_crash(tmp_path: Path) -> None:
    np.save(tmp_path / HIGH, np.zeros((1, 4, sparse.TILE // 4), np.uint16))
    np.save(tmp_path / LOW, np.zeros((3, 2), np.uint8))
    np.save(tmp_path / CLASSES, np.zeros((2, 3), np.float32))
    (tmp_path / KERNEL).write_bytes(b"\xcf\xfa\xed\xfe" + bytes(100))  # how a Mac's begins
    with pytest.raises(OSError, match=KERNEL):
        SparseLinear(tmp_path)
