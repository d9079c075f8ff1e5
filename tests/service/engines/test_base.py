"""What stands on either side of every engine: stacking images, finding the largest values."""

from pathlib import Path

import numpy as np
import pytest

from service.engines import FORMS, SCREENED
from service.engines.base import stack, top_k


def test_only_images_that_lie_apart_are_copied() -> None:
    batch = np.zeros((3, 4, 4, 3), np.uint8)
    assert stack(batch) is batch
    (one,) = stack([batch[1]])
    assert np.shares_memory(one, batch)
    images = [np.full((4, 4, 3), value, np.uint8) for value in (1, 2)]
    assert stack(images)[:, 0, 0, 0].tolist() == [1, 2]


@pytest.mark.parametrize("count", [5, 512, 5 * 512, 6 * 512 - 1, 200_000])
def test_top_k_finds_the_largest(count: int) -> None:
    values = np.random.default_rng(count).permutation(count).astype(np.float32)
    assert set(values[top_k(values, 5)]) == set(range(count - 5, count))


def test_a_form_owns_its_file_or_its_folder(tmp_path: Path) -> None:
    (tmp_path / "screened").mkdir()
    for name in ("model.onnx", "screened/model.onnx", "screened/weights.bin"):
        (tmp_path / name).touch()
    assert FORMS["onnx-fp32"].files(tmp_path) == [tmp_path / "model.onnx"]
    assert FORMS[SCREENED].files(tmp_path) == sorted((tmp_path / "screened").iterdir())
