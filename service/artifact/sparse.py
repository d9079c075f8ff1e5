"""Write the sparse form: int8 features, and a wide classifier that reads a part of its weights.

The features are quantised like any model (quantisation.py), with a small layer in place of the
classifier. Then this layer is cut off, and the largest features are picked instead. The rows of the
classifier are rounded to int8, with one step per class, in the layout of sparse_linear.c.
"""

import math
import platform
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper
from torch import nn

from service.artifact import export
from service.artifact.quantisation import BATCH, Images, quantise
from service.engines import SPARSE, sparse_onnx
from service.engines.onnx_runtime import open_session
from service.engines.sparse_onnx import CLASSES, HIGH, KERNEL, LOW, MOST, ROWS
from service.errors import OperatorError
from service.model_definition import ServingModel

ENERGY = 0.998
"""Share of the sum of squared features that the chosen ones hold, for the median photo."""
TILE = 4096
"""Number of classes in a tile: their sums fill a third of a first-level cache."""
_STAND_IN_CLASSES = 8
_SOURCE = Path(sparse_onnx.__file__).with_name("sparse_linear.c")

Floats = npt.NDArray[np.float32]


def write_sparse(model: ServingModel, features_file: Path, calibration: Images) -> None:
    """Write the sparse form of `model`: `features_file`, and the classifier in the same folder.

    Args:
        model: its last layer must be a Linear.
        features_file: the file to write; its folder is created.
        calibration: uint8 N × height × width × 3, of other photos than parity is measured over.

    Raises:
        OperatorError: the last layer is not a Linear with a bias, or there is no C compiler.
    """
    classifier = _find_last_layer(model)
    features_file.parent.mkdir(exist_ok=True)
    _compile(features_file.with_name(KERNEL))
    with _shrink_last_layer(model, *classifier):
        fp32 = features_file.with_suffix(".fp32.part")
        fp32.write_bytes(export.export_onnx(model, calibration[:2]))
    try:
        quantise(fp32, features_file, calibration)
    finally:
        fp32.unlink()
    graph = onnx.load(features_file)
    _cut_last_layer(graph)
    onnx.save(graph, features_file)
    features = _compute_features(features_file, calibration)
    _pick_largest(graph, _count_features(features))
    onnx.save(graph, features_file)
    _write_classifier(features_file.parent, classifier[1], features.mean(axis=0))


def _compile(library: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        raise OperatorError(
            f"form {SPARSE} needs a C compiler where it is built, and there is no cc. Install one "
            "(apt-get install gcc libc6-dev; on a Mac: xcode-select --install), or build without "
            "this form: --forms with the others"
        )
    options = ["-O3", "-std=c11", "-shared", "-fPIC", f"-DTILE={TILE}"]
    ran = subprocess.run(
        [compiler, *options, str(_SOURCE), "-o", str(library)],
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode != 0:
        first = next(iter(ran.stderr.strip().splitlines()), f"exit status {ran.returncode}")
        raise OperatorError(
            f"form {SPARSE}: {compiler} on {platform.machine()} cannot compile {_SOURCE.name}: "
            f"{first}. Install gcc or clang with the headers of the C library"
        )


def _find_last_layer(model: ServingModel) -> tuple[str, nn.Linear]:
    """Return the last module with weights, and its name."""
    named = [(name, part) for name, part in model.named_modules() if [*part.parameters(False)]]
    name, last = named[-1]
    if not isinstance(last, nn.Linear) or last.bias is None:
        raise OperatorError(
            f"form {SPARSE}: expected a model whose last layer is a Linear with a bias, "
            f"found {type(last).__name__} ({name}). Build without this form: --forms with others"
        )
    return name, last


@contextmanager
def _shrink_last_layer(model: ServingModel, name: str, layer: nn.Linear) -> Iterator[None]:
    """Replace the last layer by its first few rows, so that no gigabyte is exported."""
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


def _cut_last_layer(model: ModelProto) -> None:
    """End the graph at the input of the last layer, float32 N × features."""
    graph = model.graph
    last = next(node for node in reversed(graph.node) if node.op_type == "Gemm")
    end = last.input[0]
    wanted = _find_ancestors(end, {node.output[0]: node for node in graph.node})
    kept = [node for node in graph.node if node.output[0] in wanted]
    del graph.node[:]
    graph.node.extend(kept)
    used = {name for node in kept for name in node.input}
    tensors = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(tensors)
    del graph.value_info[:]
    del graph.output[:]
    graph.output.append(_make_output(end, TensorProto.FLOAT, "features"))


def _find_ancestors(output: str, makers: dict[str, onnx.NodeProto]) -> set[str]:
    """Return the names of all tensors from which `output` is computed, and its own."""
    ancestors, left = set[str](), [output]
    while left:
        name = left.pop()
        if name in makers and name not in ancestors:
            ancestors.add(name)
            left += makers[name].input
    return ancestors


def _make_output(name: str, kind: int, width: str | int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, ["batch", width])


def _compute_features(path: Path, images: Images) -> Floats:
    session = open_session(path, threads=1)
    (name,) = (each.name for each in session.get_inputs())
    batches = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
    return np.concatenate([session.run(None, {name: batch})[0] for batch in batches])


def _count_features(features: Floats) -> int:
    """Return how many of the largest features hold `ENERGY`, for the median of N × features."""
    squares = np.sort(features.astype(np.float64) ** 2, axis=1)[:, ::-1]
    held = squares.cumsum(axis=1)
    counts = (held < ENERGY * held[:, -1:]).sum(axis=1) + 1
    steps = math.ceil(float(np.median(counts)) / ROWS)
    most = int(features.shape[1]) // ROWS
    return ROWS * min(steps, most)


def _pick_largest(model: ModelProto, count: int) -> None:
    """Add the output of indices and values of the `count` largest features, the largest first."""
    graph = model.graph
    features = graph.output[0].name
    graph.node.extend(
        [
            helper.make_node("Abs", [features], ["sizes"]),
            helper.make_node("TopK", ["sizes", "count"], ["largest", "chosen"]),
            helper.make_node("GatherElements", [features, "chosen"], ["values"], axis=1),
        ]
    )
    graph.initializer.append(numpy_helper.from_array(np.array([count], np.int64), "count"))
    del graph.output[:]
    graph.output.extend(
        [
            _make_output("chosen", TensorProto.INT64, count),
            _make_output("values", TensorProto.FLOAT, count),
        ]
    )


def _write_classifier(folder: Path, layer: nn.Linear, mean_features: Floats) -> None:
    weights, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    classes, features = weights.shape
    high = np.zeros((-(-classes // TILE), features, TILE // 4), np.uint16)
    low = np.empty((classes, -(-features // 2)), np.uint8)
    steps, corrected = np.empty(classes, np.float32), np.empty(classes, np.float32)
    for tile, first in zip(high, range(0, classes, TILE), strict=True):
        some = slice(first, first + TILE)
        rows = weights[some]
        # A row of zeros has no step; any value serves.
        steps[some] = np.maximum(np.abs(rows).max(axis=1), np.finfo(np.float32).tiny) / MOST
        rounded = np.rint(rows / steps[some, np.newaxis])
        lost = rows - rounded * steps[some, np.newaxis]
        corrected[some] = bias[some] + lost @ mean_features  # as quantisation.py corrects biases
        shifted = (rounded + 128).astype(np.uint8)
        low[some] = shifted[:, ::2] & 15
        low[some, : features // 2] |= shifted[:, 1::2] << 4
        tile[:] = _pack_words(shifted)
    np.save(folder / HIGH, high)
    np.save(folder / LOW, low)
    np.save(folder / CLASSES, np.stack([steps, corrected]))


def _pack_words(shifted: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
    """Pack the high halves of up to TILE classes × features as a tile of sparse_linear.c."""
    halves = np.zeros((shifted.shape[1], TILE), np.uint16)
    halves[:, : len(shifted)] = shifted.T >> 4
    first, second, third, fourth = halves.reshape(len(halves), 4, -1).swapaxes(0, 1)
    return (first | second << 4 | third << 8 | fourth << 12).astype(np.uint16)
