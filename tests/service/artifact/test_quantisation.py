"""int8: what is rounded, what stays float, and what the correction of the biases gains."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from service.artifact import quantisation
from service.artifact.export import export_onnx
from service.artifact.exporters import Source
from service.artifact.quantisation import quantise, quantise_apart
from service.engines.onnx_runtime import OnnxRuntimeEngine
from service.model_definition import ServingModel
from tests.service.artifact.conftest import random_images
from tests.service.small_vit import SIDE, small_vit


@pytest.fixture(scope="module")
def fp32(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fp32") / "model.onnx"
    path.write_bytes(export_onnx(source.model, source.example))
    return path


def test_the_same_arguments_give_the_same_bytes(fp32: Path, tmp_path: Path) -> None:
    first, again = tmp_path / "first.onnx", tmp_path / "again.onnx"
    for path in (first, again):
        quantise(fp32, path, random_images(20))
    assert first.read_bytes() == again.read_bytes()


def test_the_stem_stays_float_and_the_rest_is_rounded(fp32: Path, tmp_path: Path) -> None:
    quantise(fp32, tmp_path / "int8.onnx", random_images(20))
    graph = onnx.load(tmp_path / "int8.onnx").graph
    rounded = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    layers = [node for node in graph.node if node.op_type in ("Conv", "Gemm")]
    # First and depthwise; pointwise, depthwise and classifier.
    assert [node.input[1] in rounded for node in layers] == [False, False, True, True, True]
    (softmax,) = (node for node in graph.node if node.op_type == "Softmax")
    assert softmax.input[0] == layers[-1].output[0]  # the logits are not rounded


def test_corrected_biases_bring_the_mean_back(
    source: Source, fp32: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = random_images(40)
    with torch.inference_mode():
        expected = np.log(source.model(torch.from_numpy(images)).numpy())

    def mean_error() -> float:
        path = tmp_path / "int8.onnx"
        quantise(fp32, path, images)
        logits = np.log(OnnxRuntimeEngine(path, threads=1)(images))
        return float(np.abs((logits - expected).mean(axis=0)).mean())

    corrected = mean_error()
    monkeypatch.setattr(quantisation, "_correct_biases", lambda *_: None)
    assert corrected < 0.8 * mean_error()


def export_network(network: nn.Module, path: Path) -> Path:
    model = ServingModel(network, (127.0,) * 3, (128.0,) * 3)
    path.write_bytes(export_onnx(model, random_images(2)))
    return path


def test_networks_without_biases_are_quantised(tmp_path: Path) -> None:
    """Freshly initialised convolutions with BatchNorm have none that could be corrected."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False), nn.ReLU(), nn.Conv2d(8, 8, 3, bias=False), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4, bias=False),
    )  # fmt: skip
    fp32 = export_network(network, tmp_path / "model.onnx")
    quantise(fp32, tmp_path / "int8.onnx", random_images(20))
    found, expected = (
        OnnxRuntimeEngine(path, threads=1)(random_images(5))
        for path in (tmp_path / "int8.onnx", fp32)
    )
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_layers_that_resist_stay_float(tmp_path: Path) -> None:
    """One scale cannot hold a channel that is far larger than the others."""
    torch.manual_seed(0)
    first, second = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 16, 1)
    with torch.no_grad():
        first.weight[0] *= 2000
        second.weight[:, 0] /= 2000
    network = nn.Sequential(
        first, nn.ReLU(), second, nn.ReLU(), nn.Conv2d(16, 16, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4),
    )  # fmt: skip
    fp32 = export_network(network, tmp_path / "model.onnx")
    quantise(fp32, tmp_path / "int8.onnx", random_images(20))
    graph = onnx.load(tmp_path / "int8.onnx").graph
    rounded = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    layers = [node for node in graph.node if node.op_type in ("Conv", "Gemm")]
    # The stem, the one with the uneven input; the others.
    assert [node.input[1] in rounded for node in layers] == [False, False, True, True]


def test_linear_layers_over_positions_are_rounded(tmp_path: Path) -> None:
    """A transformer's products with weights are in int8; its sums and attention stay float."""
    fp32 = tmp_path / "model.onnx"
    model = small_vit()
    fp32.write_bytes(export_onnx(model, np.zeros((2, SIDE, SIDE, 3), np.uint8)))
    random = np.random.default_rng(0)
    quantise(fp32, tmp_path / "int8.onnx", random.integers(0, 256, (20, SIDE, SIDE, 3), np.uint8))
    graph = onnx.load(tmp_path / "int8.onnx").graph
    rounded = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    constant = [
        node for node in graph.node if node.op_type == "MatMul" and node.input[1] in rounded
    ]
    assert len(constant) >= 4
    assert not any(name in rounded for node in graph.node if node.op_type == "Add"
                   for name in node.input)  # fmt: skip


def test_a_failed_process_says_why(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(RuntimeError, match=r"quantisation failed: .*Error"):
        quantise_apart(tmp_path / "model.onnx", tmp_path / "int8.onnx", random_images(2))
