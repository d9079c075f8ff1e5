"""Split a model at its last layer into features and a wide classifier, both in int8.

The features are quantised as any model is (quantisation.py), with a small layer in the classifier's
place; then that is cut off. The classifier's rows are rounded to int8 with one scale each, and
divided into parts of some 16 MB.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import ModelProto, TensorProto, helper, numpy_helper
from torch import nn

from service.artifact import export
from service.artifact.quantisation import BATCH, Images, quantise
from service.engines.split_onnx import PART
from service.errors import StartupError
from service.model_definition import ServingModel

PART_BYTES = 16_000_000
"""About what a part weighs: small enough to share between cores, large enough to pay its call."""
FEWEST_PARTS = 2
_STAND_IN_CLASSES = 8
_MOST = 127
"""Largest int8 weight; -128 is left out, so that the range is symmetric."""

Floats = npt.NDArray[np.float32]


def write_split(model: ServingModel, features_file: Path, calibration: Images) -> None:
    """Write the split form of `model`: `features_file`, and the classifier's parts beside it.

    Args:
        model: its last layer must be a Linear.
        features_file: the file to write; its folder is created.
        calibration: uint8 N × height × width × 3, of other photos than parity is measured over.

    Raises:
        StartupError: the last layer is none that could be cut off.
    """
    classifier = _last_layer(model)
    weights = classifier[1].weight.detach().numpy()
    bias = classifier[1].bias.detach().numpy().copy()
    features_file.parent.mkdir(exist_ok=True)
    with _small_last_layer(model, *classifier):
        fp32 = features_file.with_suffix(".fp32.part")
        fp32.write_bytes(export.export_onnx(model, calibration[:2]))
    try:
        quantise(fp32, features_file, calibration)
    finally:
        fp32.unlink()
    graph = onnx.load(features_file)
    scale, zero_point = _cut_last_layer(graph)
    onnx.save(graph, features_file)
    mean = _mean_features(features_file, calibration, scale, zero_point)
    for part, rows in enumerate(_parts(*weights.shape)):
        graph = _part(weights[rows], bias[rows], scale, zero_point, mean)
        onnx.save(graph, features_file.with_name(PART.format(part)))


def _parts(classes: int, features: int) -> list[slice]:
    count = max(FEWEST_PARTS, math.ceil(classes * features / PART_BYTES))
    edges = np.linspace(0, classes, count + 1).round().astype(int)
    return [slice(first, last) for first, last in pairwise(edges)]


def _last_layer(model: ServingModel) -> tuple[str, nn.Linear]:
    """The last module with weights, and its name."""
    named = [(name, part) for name, part in model.named_modules() if [*part.parameters(False)]]
    name, last = named[-1]
    if not isinstance(last, nn.Linear) or last.bias is None:
        raise StartupError(
            "form onnx-int8-split: expected a model whose last layer is a Linear with a bias, "
            f"found {type(last).__name__} ({name}). Build without this form: --forms with others"
        )
    return name, last


@contextmanager
def _small_last_layer(model: ServingModel, name: str, layer: nn.Linear) -> Iterator[None]:
    """Put its first few rows in the place of the last layer: a gigabyte need not be exported."""
    parent, _, attribute = name.rpartition(".")
    holder = model.get_submodule(parent)
    small = nn.Linear(layer.in_features, _STAND_IN_CLASSES)
    small.weight.data = layer.weight.data[:_STAND_IN_CLASSES]
    small.bias.data = layer.bias.data[:_STAND_IN_CLASSES]
    setattr(holder, attribute, small)
    try:
        yield
    finally:
        setattr(holder, attribute, layer)


def _cut_last_layer(model: ModelProto) -> tuple[np.float32, np.uint8]:
    """End the graph at the quantised features. Their scale and zero point."""
    graph = model.graph
    at = max(number for number, node in enumerate(graph.node) if node.op_type == "Gemm")
    makers = {node.output[0]: node for node in graph.node}
    quantiser = makers[makers[graph.node[at].input[0]].input[0]]  # of the features, before the Gemm
    wanted = _ancestors(quantiser.output[0], makers)
    kept = [node for node in graph.node if node.output[0] in wanted]
    del graph.node[:]
    graph.node.extend(kept)
    used = {name for node in kept for name in node.input}
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    scale, zero_point = (numpy_helper.to_array(tensors[name]) for name in quantiser.input[1:3])
    del graph.initializer[:]
    graph.initializer.extend(tensor for name, tensor in tensors.items() if name in used)
    del graph.value_info[:]
    del graph.output[:]
    width = ["batch", "features"]
    graph.output.append(
        helper.make_tensor_value_info(quantiser.output[0], TensorProto.UINT8, width)
    )
    return np.float32(scale), np.uint8(zero_point)


def _ancestors(output: str, makers: dict[str, onnx.NodeProto]) -> set[str]:
    """Names of the tensors that `output` is made of, itself included."""
    found, left = set[str](), [output]
    while left:
        name = left.pop()
        if name in makers and name not in found:
            found.add(name)
            left += makers[name].input
    return found


def _mean_features(
    path: Path, images: Images, scale: np.float32, zero_point: np.uint8
) -> npt.NDArray[np.float64]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (name,) = (each.name for each in session.get_inputs())
    found = [
        session.run(None, {name: images[start : start + BATCH]})[0]
        for start in range(0, len(images), BATCH)
    ]
    mean: npt.NDArray[np.float64] = np.concatenate(found).mean(axis=0)
    return (mean - zero_point) * scale


def _part(
    weights: Floats,
    bias: Floats,
    scale: np.float32,
    zero_point: np.uint8,
    mean: npt.NDArray[np.float64],
) -> ModelProto:
    """A graph from features, uint8 N × features, to the logits of some classes."""
    steps = np.abs(weights).max(axis=1) / np.float32(_MOST)
    rounded = np.rint(weights / steps[:, np.newaxis]).astype(np.int8)
    lost = weights - rounded * steps[:, np.newaxis]  # as in quantisation.py, bias correction
    constants = {
        "weights": np.ascontiguousarray(rounded.T),
        "steps": steps,
        "scale": scale,
        "zero_point": zero_point,
        "bias": bias + (lost @ mean).astype(np.float32),
    }
    # MatMulIntegerToFloat (ONNX Runtime's operator, docs/ContribOperators.md): uint8 × int8, added
    # up in 32 bits, then scaled and offset.
    inputs = ["features", "weights", "scale", "steps", "zero_point", "", "bias"]
    node = helper.make_node(
        "MatMulIntegerToFloat", inputs, ["logits"], domain="com.microsoft", name="classifier"
    )
    graph = helper.make_graph(
        [node],
        "classifier",
        [helper.make_tensor_value_info("features", TensorProto.UINT8, ["batch", weights.shape[1]])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(weights)])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    versions = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=versions, ir_version=10)
