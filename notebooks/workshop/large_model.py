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
from service.artifact.verify import Bundle
from service.engines import FORMS
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


DIRECTIONS, AGAIN, BLOCK = 256, 1536, 32
"""Sizes of the rough search: directions, classes ranked again, weights that share a scale."""


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
    """Search roughly, rank again: the same five classes from a tenth of the bytes.

    All classes are scored along `DIRECTIONS` directions with 4-bit weights. The best `AGAIN` are
    computed again from all 1280 features, with the int8 rows of `Classifier(bits=8)`.
    """

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        """Compute the weights and build the graph.

        Args:
            bundle: its last layer gives the first 1,000 rows.
            threads: of the session; all cores if not given.
        """
        head = load_file(bundle.path / FORMS["eager"].file)
        weights, bias = head["classifier.weight"], head["classifier.bias"]
        directions = _find_directions(weights, bias)
        rows = np.empty((CLASSES, FEATURES), np.int8)
        steps, offsets = np.empty(CLASSES, np.float32), np.empty(CLASSES, np.float32)
        rough = np.empty((CLASSES, DIRECTIONS // BLOCK, BLOCK // 2), np.uint8)
        scales = np.empty((CLASSES, DIRECTIONS // BLOCK), np.float32)
        known = len(bias)
        for edition, (whole, offset) in enumerate(catalogue_rows(weights, bias)):
            part = slice(edition * known, (edition + 1) * known)
            offsets[part], steps[part] = offset, _compute_steps(whole)
            rows[part] = _round(whole, steps[part])
            rough[part], scales[part] = _pack_4_bits(whole @ directions)
        self.bytes = rough.nbytes + scales.nbytes
        """Bytes that are read for every image; of `rows` only those of `AGAIN` classes."""
        values = {"d": directions, "s": scales.ravel(), "b": offsets, "t": steps}
        made = [numpy_helper.from_array(value, name) for name, value in values.items()]
        for name, numbers in {"m": [AGAIN], "k": [TOP], "last": [2], "all": [1]}.items():
            made.append(numpy_helper.from_array(np.array(numbers), name))
        large: dict[str, npt.NDArray[np.generic]] = {"q": rough, "r": rows}
        graph = helper.make_graph(
            _screening_nodes(),
            "screened classifier",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", FEATURES])],
            [
                helper.make_tensor_value_info("classes", TensorProto.INT64, ["n", TOP]),
                helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", TOP]),
            ],
            initializer=[*made, *(_outside(name, part) for name, part in large.items())],
        )
        versions = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=versions, ir_version=10)
        self._session = _open_session(model, large, threads)

    def __call__(self, features: Floats) -> Classes:
        """Return the five most probable classes of N images, best first: int64, N × 5."""
        classes, _probabilities = self._session.run(None, {"x": features})
        return classes  # type: ignore[no-any-return]


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


def _find_directions(weights: Floats, bias: Floats, editions: int = 20) -> Floats:
    """Return the orthonormal directions along which rows are longest: 1280 × `DIRECTIONS`.

    A tenth of the rows says it as well as all of them.
    """
    products = np.zeros((FEATURES, FEATURES), np.float32)
    for rows, _offsets in catalogue_rows(weights, bias, editions):
        products += rows.T @ rows
    _lengths, vectors = np.linalg.eigh(products)  # the longest come last
    return np.ascontiguousarray(vectors[:, -DIRECTIONS:].astype(np.float32))


def _pack_4_bits(rows: Floats) -> tuple[npt.NDArray[np.uint8], Floats]:
    """Return weights as MatMulNBits reads them: two to a byte, 8 is zero; and a scale per block."""
    blocks = rows.reshape(len(rows), -1, BLOCK)
    scales: Floats = np.maximum(np.abs(blocks).max(axis=2) / np.float32(7), np.float32(1e-12))
    whole = (np.rint(blocks / scales[:, :, np.newaxis]) + 8).clip(0, 15).astype(np.uint8)
    return whole[:, :, 0::2] | (whole[:, :, 1::2] << 4), scales


def _screening_nodes() -> list[onnx.NodeProto]:
    node = helper.make_node
    return [
        node("MatMul", ["x", "d"], ["p"]),
        node(
            "MatMulNBits", ["p", "q", "s"], ["rough"], domain="com.microsoft",
            K=DIRECTIONS, N=CLASSES, bits=4, block_size=BLOCK, accuracy_level=4,
        ),
        node("Add", ["rough", "b"], ["scored"]),
        node("TopK", ["scored", "m"], ["best_scores", "best"]),
        node("Gather", ["r", "best"], ["best_rows"]),
        node("Cast", ["best_rows"], ["best_weights"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["x", "last"], ["column"]),
        node("MatMul", ["best_weights", "column"], ["products"]),
        node("Squeeze", ["products", "last"], ["exact"]),
        node("Gather", ["t", "best"], ["best_steps"]),
        node("Mul", ["exact", "best_steps"], ["scaled"]),
        node("Gather", ["b", "best"], ["best_offsets"]),
        node("Add", ["scaled", "best_offsets"], ["ranked"]),
        node("TopK", ["ranked", "k"], ["values", "places"]),
        node("GatherElements", ["best", "places"], ["classes"], axis=1),
        # The probabilities are shares of all classes, each scored as well as it is known.
        node("ReduceMax", ["best_scores", "all"], ["highest"]),
        *(
            one
            for name in ("scored", "best_scores", "ranked")
            for one in (
                node("Sub", [name, "highest"], [f"{name}_below"]),
                node("Exp", [f"{name}_below"], [f"{name}_exp"]),
                node("ReduceSum", [f"{name}_exp", "all"], [f"{name}_sum"]),
            )
        ),
        node("Sub", ["scored_sum", "best_scores_sum"], ["others"]),
        node("Add", ["others", "ranked_sum"], ["total"]),
        node("Sub", ["values", "highest"], ["values_below"]),
        node("Exp", ["values_below"], ["values_exp"]),
        node("Div", ["values_exp", "total"], ["probabilities"]),
    ]  # fmt: skip


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
