"""The classifier that reads a part of its weights, and its kernel, compared with NumPy."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from service.artifact import sparse
from service.engines.sparse_onnx import (
    CLASSES,
    HIGH,
    KERNEL,
    LOW,
    MOST,
    REFINED,
    SparseLinear,
    count_screened,
)

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
    some = count_screened(kept)
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
    np.testing.assert_allclose(logits, -MOST * count_screened(24) * half, rtol=1e-5)


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


def test_a_kernel_of_another_machine_is_no_crash(tmp_path: Path) -> None:
    np.save(tmp_path / HIGH, np.zeros((1, 4, sparse.TILE // 4), np.uint16))
    np.save(tmp_path / LOW, np.zeros((3, 2), np.uint8))
    np.save(tmp_path / CLASSES, np.zeros((2, 3), np.float32))
    (tmp_path / KERNEL).write_bytes(b"\xcf\xfa\xed\xfe" + bytes(100))  # how a Mac's begins
    with pytest.raises(OSError, match=KERNEL):
        SparseLinear(tmp_path)
