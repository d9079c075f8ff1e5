"""int8: what is rounded, what stays float, and what the correction of the biases gains."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from service.artifact import quantisation
from service.artifact.export import export_onnx
from service.artifact.exporters import Source
from service.artifact.quantisation import quantise
from service.engines.onnx_runtime import OnnxRuntimeEngine
from tests.service.artifact.conftest import random_images


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
