"""The large model's small parts: its classifier of 1 GB is built by lesson 6 itself."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from notebooks.workshop import large_model
from notebooks.workshop.large_model import Features, read_weights, right_answers, weights_file
from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.artifact.verify import Bundle
from service.engines import FORMS
from service.engines.onnx_runtime import OnnxRuntimeEngine
from service.preprocessing import preprocess


def test_features_are_those_before_the_last_layer(bundle: Bundle) -> None:
    pixels = np.stack([preprocess(photo.read()) for photo in SAMPLE_PHOTOS[:2]])
    features = Features(bundle)(pixels)
    assert features.shape == (2, large_model.FEATURES)
    assert features.dtype == np.float32
    head = load_file(bundle.path / FORMS["eager"].file)
    logits = features @ head["classifier.weight"].T + head["classifier.bias"]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = OnnxRuntimeEngine(bundle.path / FORMS["onnx-fp32"].file, 1)(pixels)
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)


def test_a_label_of_the_photo_is_a_right_answer() -> None:
    labels = [photo.labels[0] for photo in SAMPLE_PHOTOS]
    classes = np.arange(len(labels))[:, np.newaxis]
    assert right_answers(classes, labels) == len(labels)
    classes[0] = 199_999  # a variant, which has no label
    assert right_answers(classes, labels) == len(labels) - 1


def test_weights_of_1_gb_are_read_from_an_eighth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_model, "_ROWS", 10)
    path = weights_file(tmp_path)
    assert path.stat().st_size == 10 * large_model.FEATURES * 4
    reads: list[int] = []
    monkeypatch.setattr(np, "fromfile", lambda file, dtype: reads.append(file.stat().st_size))
    read_weights(path)
    assert reads == [path.stat().st_size] * large_model.SHARDS
    assert large_model.BYTES == 200_000 * 1280 * 4


@pytest.mark.parametrize("scale", [1e-3, 1.0, 50.0])
def test_int8_weights_are_within_half_a_step(scale: float) -> None:
    rows = np.random.default_rng(0).normal(0, scale, (5, 64)).astype(np.float32)
    steps = large_model._compute_steps(rows)
    rounded = large_model._round(rows, steps)
    assert rounded.dtype == np.int8
    assert np.abs(rounded).max(axis=1).tolist() == [127] * 5
    assert (np.abs(rounded * steps[:, np.newaxis] - rows) <= steps[:, np.newaxis] * 0.501).all()
