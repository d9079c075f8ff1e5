"""The classifier that reads few of its weights, compared with NumPy.

How close the whole form is to the model is measured at each build.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
from onnx import ModelProto, numpy_helper
from torch import nn

from service.artifact.exporters import Source
from service.artifact.screened import build_classifier, write_screened
from service.engines.onnx_runtime import WEIGHTS
from service.errors import OperatorError
from service.model_definition import ServingModel

FEATURES = 320
Floats = npt.NDArray[np.float32]


def draw_rows(classes: int, features: int = FEATURES) -> tuple[Floats, Floats]:
    """Weights and biases of families of ten similar classes, in the order of a catalogue."""
    random = np.random.default_rng(classes)
    families = random.standard_normal((-(-classes // 10), features), np.float32)
    rows = np.tile(families, (10, 1))[:classes]
    rows += random.standard_normal((classes, features), np.float32) / 2
    return rows / np.float32(features**0.5), random.standard_normal(classes, np.float32)


def draw_features(images: int, features: int = FEATURES) -> Floats:
    """Features as after a ReLU: half of them are zero."""
    random = np.random.default_rng(images)
    return np.maximum(0, 3 * random.standard_normal((images, features), np.float32))


def run(model: ModelProto, features: Floats) -> Floats:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (probabilities,) = session.run(None, {"features": features})
    return probabilities  # type: ignore[no-any-return]


def softmax(scores: Floats) -> Floats:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]


def read_tensor(model: ModelProto, name: str) -> npt.NDArray[np.float32]:
    (tensor,) = (one for one in model.graph.initializer if one.name == name)
    return numpy_helper.to_array(tensor)


@pytest.mark.parametrize("features", [16, 25, 256, FEATURES])
@pytest.mark.parametrize("classes", [1, 7, 1000, 4099])
def test_the_classifier_answers_as_all_weights_do(classes: int, features: int) -> None:
    weights, bias = draw_rows(classes, features)
    images = draw_features(20, features)
    expected = softmax(images @ weights.T + bias)
    found = run(build_classifier(lambda: [(weights, bias)]), images)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    first = np.take_along_axis(expected, found.argmax(axis=1)[:, np.newaxis], axis=1)[:, 0]
    assert (first > expected.max(axis=1) - 0.03).all()
    assert np.abs(found - expected).max() < 0.03


def test_an_answer_does_not_depend_on_the_batch() -> None:
    weights, bias = draw_rows(1000)
    model = build_classifier(lambda: [(weights, bias)])
    images = draw_features(4)
    alone = np.concatenate([run(model, image[np.newaxis]) for image in images])
    np.testing.assert_allclose(run(model, images), alone, atol=1e-5)


def test_rows_may_come_in_chunks() -> None:
    weights, bias = draw_rows(1000)

    def cut() -> Iterable[tuple[Floats, Floats]]:
        for start in range(0, 1000, 250):
            yield weights[start : start + 250], bias[start : start + 250]

    images = draw_features(4)
    whole = build_classifier(lambda: [(weights, bias)])
    np.testing.assert_allclose(run(build_classifier(cut), images), run(whole, images), atol=1e-4)


def test_what_is_left_out_is_corrected_in_the_sum() -> None:
    """The first class is computed exactly, so its error is that of the sum over all classes."""
    weights, bias = draw_rows(20_000)
    images = draw_features(40)
    expected = softmax(images @ weights.T + bias).max(axis=1)
    model = build_classifier(lambda: [(weights, bias)])
    corrected = run(model, images).max(axis=1)
    (factor,) = (one for one in model.graph.initializer if one.name == "half_variance")
    assert numpy_helper.to_array(factor)[0] > 0
    factor.CopyFrom(numpy_helper.from_array(np.zeros(1, np.float32), "half_variance"))
    plain = run(model, images).max(axis=1)
    assert np.abs(corrected / expected - 1).mean() < 0.3 * np.abs(plain / expected - 1).mean()


def test_few_bytes_are_read_for_every_image() -> None:
    weights, bias = draw_rows(20_000)
    model = build_classifier(lambda: [(weights, bias)])
    searched = sum(read_tensor(model, name).nbytes for name in ("rough_rows", "rough_scales"))
    assert searched < 0.11 * weights.nbytes  # of 1,280 features it would be 0.026
    assert read_tensor(model, "best_of_all")[1] == 512


def test_large_weights_lie_beside_the_graph_for_every_user(source: Source, tmp_path: Path) -> None:
    """In a container the service is another user than the one that built the bundle."""
    wide = nn.Linear(16, 8192)
    network = nn.Sequential(*list(source.model.model.children())[:-1], wide)
    path = tmp_path / "screened" / "model.onnx"
    model = ServingModel(network, (127, 127, 127), (128, 128, 128))
    write_screened(model, path, source.cut_calibration_crops())
    assert network[-1] is wide
    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert modes == {"model.onnx": 0o644, WEIGHTS: 0o644}
    assert path.stat().st_size < path.with_name(WEIGHTS).stat().st_size


def test_a_model_without_a_wide_last_layer_is_refused(tmp_path: Path) -> None:
    model = ServingModel(nn.Sequential(nn.Conv2d(3, 8, 1), nn.Flatten()), (0, 0, 0), (1, 1, 1))
    with pytest.raises(OperatorError, match="expected a model whose last layer is a Linear"):
        write_screened(model, tmp_path / "screened" / "f.onnx", np.zeros((2, 8, 8, 3), np.uint8))
