"""Write the screened form: int8 features, and a wide classifier that reads few of its weights.

A classifier of very many classes is limited by reading its weights. So all classes are scored
roughly, along the few directions in which their rows differ most, with 4 bits a weight. Then the
best ones are computed again, from all features, with 8 bits. Vector search does the same: it
re-ranks what a coarse index finds (Jégou et al., 2011, "Searching in One Billion Vectors: Re-rank
with Source Coding").

The softmax is over all classes. What the directions leave out of a score is unknown for the classes
that are not computed again, but its variance is known; of a normal variable X with mean 0 and
variance v, the mean of exp(X) is exp(v / 2). This factor corrects their part of the sum.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, TensorProto, compose, helper, numpy_helper
from torch import nn

from service.artifact import export
from service.artifact.quantisation import Images, quantise
from service.engines import SCREENED
from service.engines.onnx_runtime import WEIGHTS
from service.errors import OperatorError
from service.model_definition import ServingModel

DIRECTIONS = 256
"""Directions of the rough scores. The weights of a row share one scale."""
AGAIN, PARTS = 512, 8
"""Classes that are computed again: the best of each part of all classes, so that frequent classes,
which have a high bias, do not take all places."""
OPSET = 20

Floats = npt.NDArray[np.float32]
Rows = Callable[[], Iterable[tuple[Floats, Floats]]]
"""Returns the classifier in chunks: weights, float32 classes × features, and biases."""


def write_screened(model: ServingModel, path: Path, calibration: Images) -> None:
    """Write the screened form of `model`: `path`, and its large weights in the same folder.

    Args:
        model: its last layer must be a Linear.
        path: the ONNX file to write; its folder is created.
        calibration: uint8 N × height × width × 3, of other photos than parity is measured over.

    Raises:
        OperatorError: the last layer is not a Linear with a bias.
    """
    name, layer = _find_last_layer(model)
    path.parent.mkdir(exist_ok=True)
    fp32 = path.with_suffix(".fp32.part")
    with _without_layer(model, name):
        fp32.write_bytes(export.export_onnx(model, calibration[:2]))
    try:
        quantise(fp32, path, calibration)
    finally:
        fp32.unlink()
    features = onnx.load(path)
    _cut_softmax(features)
    weights, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    classifier = build_classifier(lambda: [(weights, bias)])
    whole = compose.merge_models(features, classifier, io_map=[("features", "features")])
    # Outside of the graph, weights are mapped into memory, not parsed and copied.
    onnx.save(whole, path, save_as_external_data=True, location=WEIGHTS, size_threshold=2**16)
    for file in path.parent.iterdir():
        file.chmod(0o644)  # onnx writes weights for their owner only


def build_classifier(rows: Rows) -> ModelProto:
    """Return the graph from features, float32 N × features, to probabilities, N × classes.

    Args:
        rows: called twice.
    """
    directions, variance = _find_directions(rows)
    features, kept = directions.shape
    block = max(16, 1 << (kept - 1).bit_length())
    rough, scales, exact, steps, offsets = [], [], [], [], []
    for weights, bias in rows():
        packed, scale = _pack_4_bits(weights @ directions, block)
        step = np.maximum(np.abs(weights).max(axis=1) / np.float32(127), np.float32(1e-30))
        rough.append(packed)
        scales.append(scale)
        exact.append(np.rint(weights / step[:, np.newaxis]).astype(np.int8))
        steps.append(step)
        offsets.append(bias)
    classes = sum(map(len, offsets))
    parts = math.gcd(classes, PARTS)
    best = min(AGAIN, classes) // parts
    values: dict[str, npt.NDArray[np.generic]] = {
        "directions": directions,
        "rough_rows": np.concatenate(rough)[:, np.newaxis],
        "rough_scales": np.concatenate(scales),
        "rows": np.concatenate(exact),
        "steps": np.concatenate(steps),
        "biases": np.concatenate(offsets),
        "half_variance": np.array([variance / 2], np.float32),
        "parts": np.array([0, parts, classes // parts]),
        "first_of_part": np.arange(parts).reshape(1, parts, 1) * (classes // parts),
        "best_of_part": np.array([best]),
        "best_of_all": np.array([0, parts * best]),
        "second": np.array([1]),
        "third": np.array([2]),
    }
    node = helper.make_node
    nodes = [
        node("MatMul", ["features", "directions"], ["along"]),
        node(
            "MatMulNBits", ["along", "rough_rows", "rough_scales", "", "", "biases"], ["rough"],
            domain="com.microsoft", K=kept, N=classes, bits=4, block_size=block,
            accuracy_level=4,
        ),
        node("Reshape", ["rough", "parts"], ["rough_parts"]),
        node("TopK", ["rough_parts", "best_of_part"], ["best_scores", "place"], sorted=0),
        node("Add", ["place", "first_of_part"], ["best_parts"]),
        node("Reshape", ["best_parts", "best_of_all"], ["best"]),
        node("Gather", ["rows", "best"], ["best_rows"]),
        node("Cast", ["best_rows"], ["best_weights"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["features", "third"], ["column"]),
        node("MatMul", ["best_weights", "column"], ["products"]),
        node("Squeeze", ["products", "third"], ["sums"]),
        node("Gather", ["steps", "best"], ["best_steps"]),
        node("Mul", ["sums", "best_steps"], ["scaled"]),
        node("Gather", ["biases", "best"], ["best_biases"]),
        node("Add", ["scaled", "best_biases"], ["exact"]),
        # exp(score + v / 2) for all others has the same softmax as exp(score - v / 2) for these.
        node("ReduceSumSquare", ["features", "second"], ["length"]),
        node("ReduceSumSquare", ["along", "second"], ["length_along"]),
        node("Sub", ["length", "length_along"], ["length_left_out"]),
        node("Mul", ["length_left_out", "half_variance"], ["correction"]),
        node("Sub", ["exact", "correction"], ["corrected"]),
        node("ScatterElements", ["rough", "best", "corrected"], ["scores"], axis=1),
        node("Softmax", ["scores"], [export.OUTPUT], axis=1),
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "screened classifier",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", features])],
        [helper.make_tensor_value_info(export.OUTPUT, TensorProto.FLOAT, ["batch", classes])],
        initializer=[numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    versions = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=versions, ir_version=10)


def _find_directions(rows: Rows) -> tuple[Floats, float]:
    """Return the directions along which rows are longest, and the variance along the others.

    Returns:
        Features × `DIRECTIONS`, orthonormal; and the mean square of a row along one of the
        directions that are left out.
    """
    products: Floats | float = 0.0
    count = 0
    for weights, _bias in rows():
        products = products + weights.T @ weights
        count += len(weights)
    squares, vectors = np.linalg.eigh(products)  # the longest come last
    kept = min(DIRECTIONS, len(vectors))
    left_out = squares[:-kept]
    variance = float(left_out.mean()) / count if len(left_out) else 0.0
    return np.ascontiguousarray(vectors[:, -kept:], np.float32), variance


def _pack_4_bits(rows: Floats, block: int) -> tuple[npt.NDArray[np.uint8], Floats]:
    """Return weights as MatMulNBits reads them: two to a byte, 8 is zero; and a scale per row.

    Args:
        rows: float32 classes × directions.
        block: width of a packed row in weights, at least the number of directions.
    """
    scales: Floats = np.maximum(np.abs(rows).max(axis=1) / np.float32(7), np.float32(1e-30))
    whole = np.full((len(rows), block), 8, np.uint8)
    whole[:, : rows.shape[1]] = np.rint(rows / scales[:, np.newaxis]) + 8
    packed: npt.NDArray[np.uint8] = whole[:, 0::2] | np.left_shift(whole[:, 1::2], 4)
    return packed, scales


def _find_last_layer(model: ServingModel) -> tuple[str, nn.Linear]:
    """Return the last module with weights, and its name."""
    named = [(name, part) for name, part in model.named_modules() if [*part.parameters(False)]]
    name, last = named[-1]
    if not isinstance(last, nn.Linear) or last.bias is None:
        raise OperatorError(
            f"form {SCREENED}: expected a model whose last layer is a Linear with a bias, "
            f"found {type(last).__name__} ({name}). Build without this form: --forms with others"
        )
    return name, last


@contextmanager
def _without_layer(model: ServingModel, name: str) -> Iterator[None]:
    """Let a layer return its input, so that no gigabyte is exported."""
    layer = model.get_submodule(name)
    model.set_submodule(name, nn.Identity())
    try:
        yield
    finally:
        model.set_submodule(name, layer)


def _cut_softmax(model: ModelProto) -> None:
    """End the graph at the input of its softmax, and call that "features"."""
    graph = model.graph
    softmax = graph.node.pop()
    assert softmax.op_type == "Softmax"
    last = next(node for node in graph.node if node.output[0] == softmax.input[0])
    last.output[0] = "features"
    output = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", "features"])
    graph.output[0].CopyFrom(output)
