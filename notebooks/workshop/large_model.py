"""A model of 1 GB in two parts, features and classifier, each of which can be timed alone.

The features come from the service's own model without its last layer. The classifier is that of
the challenge (challenges/catalogue): 200,000 rows, the first 1,000 of which are the model's own.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

from challenges.catalogue.rows import catalogue_rows
from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.artifact.screened import build_classifier
from service.artifact.verify import Bundle
from service.engines import FORMS
from service.engines.base import top_k
from service.engines.onnx_runtime import adds_int8_products_exactly
from service.machine import available_cores
from service.preprocessing import Pixels

CLASSES, FEATURES = 200_000, 1280
SHARDS = 8
"""Number of matrices that hold the rows. While one is packed, only that one is in memory twice."""
BYTES = CLASSES * FEATURES * 4
"""Bytes of the classifier's weights in float32."""
TOP = 5
_ROWS = CLASSES // SHARDS

Floats = npt.NDArray[np.float32]
Classes = npt.NDArray[np.int64]


class Features:
    """The model without its last layer: uint8 N × 224 × 224 × 3 pixels to float32 N × 1280."""

    def __init__(self, bundle: Bundle, form: str = "onnx-fp32", threads: int | None = None) -> None:
        """Remove the last layer from an ONNX form of a bundle; `threads`: all cores by default."""
        model = onnx.load(bundle.path / FORMS[form].file)
        graph = model.graph
        last = max(at for at, node in enumerate(graph.node) if node.op_type == "Gemm")
        wanted = graph.node[last].input[0]
        del graph.node[last:]
        del graph.output[:]
        graph.output.append(helper.make_tensor_value_info(wanted, TensorProto.FLOAT, None))
        self._session = _open_session(model, threads=threads)
        self._input = graph.input[0].name

    def __call__(self, pixels: Pixels) -> Floats:
        """Return the features of N images."""
        (features,) = self._session.run(None, {self._input: pixels})
        return features  # type: ignore[no-any-return]


class Classifier:
    """From 1280 features to the five most probable of 200,000 classes.

    The weights have 1.02 GB in float32. In int8 each row has one scale, and features are rounded to
    uint8 at each call.
    """

    def __init__(self, bundle: Bundle, bits: int = 32) -> None:
        """Compute the weights and pack them.

        Args:
            bundle: its last layer gives the first 1,000 rows.
            bits: of one weight, 32 (float) or 8 (integer).
        """
        head = load_file(bundle.path / FORMS["eager"].file)
        weights, bias = head["classifier.weight"], head["classifier.bias"]
        self.bytes = BYTES * bits // 32
        """Bytes of the weights."""
        parts = [
            np.empty((_ROWS, FEATURES), np.float32 if bits == 32 else np.int8)
            for _shard in range(SHARDS)
        ]
        offsets, steps = np.empty(CLASSES, np.float32), np.empty(CLASSES, np.float32)
        known = len(bias)
        for edition, (rows, offset) in enumerate(catalogue_rows(weights, bias)):
            first = edition * known
            offsets[first : first + known] = offset
            place = parts[first // _ROWS][first % _ROWS : first % _ROWS + known]
            if bits == 32:
                place[:] = rows
            else:
                steps[first : first + known] = _compute_steps(rows)
                place[:] = _round(rows, steps[first : first + known])
        scales: list[Floats] = []
        if bits == 32:
            nodes = [
                helper.make_node("Gemm", ["x", f"w{n}", f"b{n}"], [f"y{n}"], transB=1)
                for n in range(SHARDS)
            ]
        else:
            parts = [np.ascontiguousarray(part.T) for part in parts]
            scales = np.split(steps, SHARDS)
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
        self._session = _open_session(
            _build_model(nodes, small, [f"w{n}" for n in range(SHARDS)], parts),
            {f"w{n}": part for n, part in enumerate(parts)},
        )

    def __call__(self, features: Floats) -> Classes:
        """Return the five most probable classes of N images, best first: int64, N × 5."""
        (classes,) = self._session.run(None, {"x": features})
        return classes  # type: ignore[no-any-return]


class ScreenedClassifier:
    """Search roughly, rank again: the same five classes from a few per cent of the bytes.

    The graph is that of the reference service (service/artifact/screened.py).
    """

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        """Compute the weights and build the graph.

        Args:
            bundle: its last layer gives the first 1,000 rows.
            threads: of the session; all cores if not given.
        """
        head = load_file(bundle.path / FORMS["eager"].file)
        weights, bias = head["classifier.weight"], head["classifier.bias"]
        model = build_classifier(lambda: catalogue_rows(weights, bias))
        searched = ("rough_rows", "rough_scales")
        parts = [part for part in model.graph.initializer if part.name in searched]
        self.bytes = sum(len(part.raw_data) for part in parts)
        """Bytes that are read for every image; of the exact rows only those of the best classes."""
        self._session = _open_session(model, threads=threads)

    def __call__(self, features: Floats) -> Classes:
        """Return the five most probable classes of N images, best first: int64, N × 5."""
        (probabilities,) = self._session.run(None, {"features": features})
        best = [top_k(row, TOP) for row in probabilities]
        return np.stack(
            [some[np.argsort(-row[some])] for some, row in zip(best, probabilities, strict=True)]
        )


def agreement(one: Classes, other: Classes) -> float:
    """Return the share of images with the same first class, 0 to 1."""
    return float((one[:, 0] == other[:, 0]).mean())


def right_answers(classes: Classes, labels: Sequence[str]) -> int:
    """Count the sample photos (in their order) whose most probable class is a right label."""
    first = [labels[best] if best < len(labels) else "" for best in classes[:, 0]]
    return sum(name in photo.labels for name, photo in zip(first, SAMPLE_PHOTOS, strict=True))


def weights_file(folder: Path) -> Path:
    """Write a file with an eighth of the classifier's bytes; `read_weights` reads it eight times.

    So 1 GB is read, without 1 GB of disk space.
    """
    path = folder / "weights.bin"
    np.random.default_rng(0).random((_ROWS, FEATURES), dtype=np.float32).tofile(path)
    return path


def read_weights(path: Path) -> None:
    """Read 1.02 GB of weights from a file into memory, and drop them."""
    for _shard in range(SHARDS):
        np.fromfile(path, np.float32)


def _compute_steps(rows: Floats) -> Floats:
    """Return one step size per row (float32), so that its largest weight becomes ±127."""
    steps: Floats = np.abs(rows).max(axis=1) / np.float32(127)
    return steps


def _round(rows: Floats, steps: Floats) -> npt.NDArray[np.int8]:
    rounded: npt.NDArray[np.int8] = np.rint(rows / steps[:, np.newaxis]).astype(np.int8)
    return rounded


def _outside(name: str, part: npt.NDArray[np.generic]) -> onnx.TensorProto:
    """Return a weight that stays outside of the graph, which has at most 2 GB."""
    tensor = onnx.TensorProto(
        name=name,
        data_type=helper.np_dtype_to_tensor_dtype(part.dtype),
        dims=part.shape,
        data_location=TensorProto.EXTERNAL,
    )
    tensor.external_data.add(key="location", value="in-memory")
    return tensor


def _build_model(
    nodes: list[onnx.NodeProto],
    small: dict[str, Floats],
    names: Sequence[str],
    parts: Sequence[npt.NDArray[np.generic]],
) -> onnx.ModelProto:
    """Return the graph. The weights `names` stay outside of it."""
    outside = [_outside(name, part) for name, part in zip(names, parts, strict=True)]
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


def _open_session(
    model: onnx.ModelProto,
    weights: dict[str, npt.NDArray[np.generic]] | None = None,
    threads: int | None = None,
) -> onnxruntime.InferenceSession:
    """Open a graph with the settings of the service's engine; on all cores by default."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or available_cores()
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
