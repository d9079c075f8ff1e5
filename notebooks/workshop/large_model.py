"""A classifier of 1 GB in two modules, features and classifier, each of which can be timed alone.

The features are the service's own model up to its last layer. The classifier has 200,000 rows: the
first 1,000 are the model's real ones, so that photos still get their true answers; the others are
made up, because no such model may be downloaded in a class. To make them takes a second: one seeded
block of random numbers, written again and again with its columns moved on by one.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

from service.artifact.verify import Bundle
from service.engines import FORMS
from service.machine import adds_int8_products_exactly, available_cores
from service.preprocessing import Pixels
from service.sample_photos import SAMPLE_PHOTOS

CLASSES, FEATURES = 200_000, 1280
BLOCK = 5_000
"""Rows that are made up once."""
SHARDS = 8
"""Matrices that the rows are divided between: while one is packed, only that one is there twice."""
BYTES = CLASSES * FEATURES * 4
"""Of the classifier's weights in float32."""
TOP = 5
_ROWS = CLASSES // SHARDS

Floats = npt.NDArray[np.float32]
Classes = npt.NDArray[np.int64]


class Features:
    """The model up to its last layer: pixels, uint8 N × 224 × 224 × 3, to float32 N × 1280."""

    def __init__(self, bundle: Bundle, form: str = "onnx-fp32") -> None:
        """Cut the last layer off an ONNX form of a bundle."""
        graph_of = onnx.load(bundle.path / FORMS[form].file)
        graph = graph_of.graph
        last = max(at for at, node in enumerate(graph.node) if node.op_type == "Gemm")
        wanted = graph.node[last].input[0]
        del graph.node[last:]
        del graph.output[:]
        graph.output.append(helper.make_tensor_value_info(wanted, TensorProto.FLOAT, None))
        self._session = _session(graph_of)
        self._input = graph.input[0].name

    def __call__(self, pixels: Pixels) -> Floats:
        """Features of N images."""
        (found,) = self._session.run(None, {self._input: pixels})
        return found  # type: ignore[no-any-return]


class Classifier:
    """1280 features to the five most probable of 200,000 classes.

    In float32 it is 1.02 GB. In int8 each row has one scale, and features are rounded to uint8 as
    they come.
    """

    def __init__(self, bundle: Bundle, bits: int = 32) -> None:
        """Make the weights and pack them.

        Args:
            bundle: whose last layer gives the first 1,000 rows.
            bits: of a weight, 32 (float) or 8 (integer).
        """
        head = load_file(bundle.path / FORMS["eager"].file)
        weights, bias = head["classifier.weight"], head["classifier.bias"]
        self.bytes = BYTES * bits // 32
        """Of the weights."""
        block = _block(float(weights.std()))
        offsets = np.zeros(CLASSES, np.float32)
        offsets[: len(bias)] = bias
        if bits == 32:
            parts: Sequence[npt.NDArray[np.generic]] = np.split(_tiled(block, weights), SHARDS)
            nodes = [
                helper.make_node("Gemm", ["x", f"w{n}", f"b{n}"], [f"y{n}"], transB=1)
                for n in range(SHARDS)
            ]
            scales: list[Floats] = []
        else:
            scale, scale_of_head = _scales(block), _scales(weights)
            rounded = _tiled(_rounded(block, scale), _rounded(weights, scale_of_head))
            parts = [np.ascontiguousarray(part.T) for part in np.split(rounded, SHARDS)]
            del rounded
            all_scales = np.tile(scale, CLASSES // BLOCK)
            all_scales[: len(bias)] = scale_of_head
            scales = np.split(all_scales, SHARDS)
            nodes = [helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"])]
            nodes += [
                helper.make_node(
                    "MatMulIntegerToFloat",
                    ["q", f"w{n}", "s", f"s{n}", "z", "", f"b{n}"],
                    [f"y{n}"],
                    domain="com.microsoft",
                )
                for n in range(SHARDS)
            ]
        small = {f"b{n}": part for n, part in enumerate(np.split(offsets, SHARDS))}
        small |= {f"s{n}": part for n, part in enumerate(scales)}
        self._session = _session(
            _model(nodes, small, [f"w{n}" for n in range(SHARDS)], parts),
            {f"w{n}": part for n, part in enumerate(parts)},
        )

    def __call__(self, features: Floats) -> Classes:
        """Int64 N × 5: the numbers of the most probable classes, the first one first."""
        (classes,) = self._session.run(None, {"x": features})
        return classes  # type: ignore[no-any-return]


def right_answers(classes: Classes, labels: Sequence[str]) -> int:
    """How many of the sample photos, in their order, have a right label for their first class."""
    first = [labels[best] if best < len(labels) else "" for best in classes[:, 0]]
    return sum(name in photo.labels for name, photo in zip(first, SAMPLE_PHOTOS, strict=True))


def weights_file(folder: Path) -> Path:
    """Write an eighth of the classifier's weights to a file: `read_weights` reads it eight times.

    As many bytes are read as of a file of 1 GB, without asking a laptop for the disk space.
    """
    path = folder / "weights.bin"
    np.tile(_block(1.0), (_ROWS // BLOCK, 1)).tofile(path)
    return path


def read_weights(path: Path) -> None:
    """Read 1.02 GB of weights from a file into memory, and forget them."""
    for _shard in range(SHARDS):
        np.fromfile(path, np.float32)


def _block(deviation: float) -> Floats:
    """Made-up rows, float32 5,000 × 1280, half as widely spread as the real ones."""
    rows = np.random.default_rng(0).standard_normal((BLOCK, FEATURES), dtype=np.float32)
    return rows * np.float32(deviation / 2)


def _tiled(
    block: npt.NDArray[np.generic], head: npt.NDArray[np.generic]
) -> npt.NDArray[np.generic]:
    """`block` again and again, each time with its columns moved on; its first rows are `head`."""
    rows = np.empty((CLASSES, FEATURES), block.dtype)
    for turn in range(CLASSES // BLOCK):
        rows[turn * BLOCK : (turn + 1) * BLOCK] = np.roll(block, turn, axis=1)
    rows[: len(head)] = head
    return rows


def _scales(rows: Floats) -> Floats:
    """One step size a row: its largest weight becomes ±127."""
    found: Floats = np.abs(rows).max(axis=1) / np.float32(127)
    return found


def _rounded(rows: Floats, scales: Floats) -> npt.NDArray[np.int8]:
    found: npt.NDArray[np.int8] = np.rint(rows / scales[:, np.newaxis]).astype(np.int8)
    return found


def _model(
    nodes: list[onnx.NodeProto],
    small: dict[str, Floats],
    names: Sequence[str],
    parts: Sequence[npt.NDArray[np.generic]],
) -> onnx.ModelProto:
    """The graph; its weights `names` are handed over beside it, since a graph has at most 2 GB."""
    outside = []
    for name, part in zip(names, parts, strict=True):
        tensor = onnx.TensorProto(
            name=name,
            data_type=helper.np_dtype_to_tensor_dtype(part.dtype),
            dims=part.shape,
            data_location=TensorProto.EXTERNAL,
        )
        tensor.external_data.add(key="location", value="in-memory")
        outside.append(tensor)
    nodes += [
        helper.make_node("Concat", [f"y{n}" for n in range(SHARDS)], ["y"], axis=1),
        helper.make_node("TopK", ["y", "k"], ["values", "classes"]),
    ]
    values = [numpy_helper.from_array(value, name) for name, value in small.items()]
    values.append(numpy_helper.from_array(np.array([TOP]), "k"))
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", FEATURES])],
        [helper.make_tensor_value_info("classes", TensorProto.INT64, ["n", TOP])],
        initializer=[*values, *outside],
    )
    versions = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=versions, ir_version=10)


def _session(
    model: onnx.ModelProto, weights: dict[str, npt.NDArray[np.generic]] | None = None
) -> onnxruntime.InferenceSession:
    """Open a graph with the settings of the service's engine, on all cores."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = available_cores()
    options.add_session_config_entry("session.intra_op.spin_duration_us", "50")
    if not adds_int8_products_exactly():
        options.add_session_config_entry("session.x64quantprecision", "1")
    options.log_severity_level = 3
    if weights:
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(part) for part in weights.values()]
        options.add_external_initializers(list(weights), values)
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
