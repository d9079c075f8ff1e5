"""Static int8 quantisation of an ONNX classifier, for ONNX Runtime on a CPU.

`quantize_static` takes the ranges from calibration pictures. Three additions keep the accuracy: the
stem stays in float, and so do the layers whose measured noise is largest; and each layer's bias is
corrected by the mean error of its rounded weights.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

QUANTISED_OPERATORS = ["Conv", "Gemm", "Clip", "Relu", "Add", "MaxPool"]
"""The other operators (normalisation, mean over positions, softmax) are cheap and stay float."""
TRANSFORMERS_OPERATORS = ["Conv", "Gemm", "MatMul"]
"""Those of a network with linear layers over positions. Its sums stay float: a few channels of them
are far larger than the others (Dettmers et al., 2022, "LLM.int8()", section 4), and one scale for
all would round the others away."""
LARGEST_NOISE = 0.02
"""A layer stays float if rounding its input and weights gives more noise than this share of the
variance of its output (17 dB). The noisiest layer of EfficientNet-Lite0 has 0.0013."""
NOISE_IMAGES = 4
_TINY = 1e-30

BATCH = 2
"""Images per run of the calibration. It bounds memory, which holds all feature maps of a batch."""

Images = NDArray[np.uint8]
"""uint8, N × height × width × 3, the input of the graph."""


def quantise(fp32: Path, int8: Path, calibration: Images) -> None:
    """Quantise the model `fp32` and write it to `int8`: the same bytes for the same arguments.

    Activations are uint8 with one scale per tensor, weights int8 with one scale per output channel
    (the layout ONNX Runtime is fastest with on x86: AVX-512 VNNI multiplies uint8 by int8).
    Clip and Relu become part of the range of the uint8. The last layer's output, the logits, stays
    float: rounding would decide close calls.

    Args:
        fp32: a model with one input, BatchNorm folded into the convolutions.
        int8: the file to write.
        calibration: uint8 N × height × width × 3, of other photos than parity is measured over.
    """
    with tempfile.TemporaryDirectory(dir=int8.parent) as folder:
        named = Path(folder) / "named.onnx"
        stem = _name_layers(fp32, named)
        _quantise_all_but(stem, named, int8, calibration)
        original, quantised = onnx.load(named), onnx.load(int8)
        noise = _measure_noise(original, quantised, calibration[:NOISE_IMAGES])
        if noisy := [name for name, share in noise.items() if not share <= LARGEST_NOISE]:
            del original, quantised  # ONNX Runtime holds several copies of the weights
            _quantise_all_but([*stem, *noisy], named, int8, calibration)
            original, quantised = onnx.load(named), onnx.load(int8)
    _correct_biases(original, quantised, calibration)
    onnx.save(quantised, int8)


def _name_layers(fp32: Path, named: Path) -> list[str]:
    """Write the model with a name for each layer; return the names of the stem."""
    model = onnx.load(fp32)
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{number}"
    add_pre_process_metadata(model)  # else ONNX Runtime advises, in its log, to fold BatchNorm
    onnx.save(model, named)
    return [node.name for node in _find_stem(model.graph)]


def _quantise_all_but(
    floats: Sequence[str], original: Path, path: Path, calibration: Images
) -> None:
    graph = onnx.load(original).graph
    constants = {tensor.name for tensor in graph.initializer}
    over_positions = any(
        node.op_type == "MatMul" and node.input[1] in constants for node in graph.node
    )
    operators = TRANSFORMERS_OPERATORS if over_positions else QUANTISED_OPERATORS
    source = graph.input[0].name
    del graph
    quantize_static(
        original,
        path,
        _Batches(source, calibration),
        op_types_to_quantize=operators,
        nodes_to_exclude=list(floats),
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        extra_options={
            "OpTypesToExcludeOutputQuantization": ["Gemm", "MatMul"],
            "MatMulConstBOnly": True,
        },
    )


def _measure_noise(original: ModelProto, quantised: ModelProto, images: Images) -> dict[str, float]:
    """Return the noise that rounding adds to the output of each layer, as a share of its variance.

    Each layer is computed twice from the float input: as it is, and with input and weights rounded
    as in `quantised`. All layers in one run for each image, with only two numbers a layer kept.
    """
    graph = ModelProto()
    graph.CopyFrom(original)
    dequantise = {
        node.output[0]: node for node in quantised.graph.node if node.op_type == "DequantizeLinear"
    }
    rounded = {node.name: node for node in quantised.graph.node}
    stored = {tensor.name: tensor for tensor in quantised.graph.initializer}
    weights = {tensor.name for tensor in original.graph.initializer}
    added: set[str] = set()
    names: list[str] = []
    outputs: list[str] = []
    for layer in original.graph.node:
        if layer.op_type not in TRANSFORMERS_OPERATORS or layer.input[1] not in weights:
            continue
        pair = [dequantise[name] for name in rounded[layer.name].input[:2] if name in dequantise]
        if len(pair) < 2:
            continue
        prefix = f"noise/{len(names)}/"
        inputs: list[str] = []
        for source, node in zip(layer.input[:2], pair, strict=True):
            scales = [stored[name] for name in node.input[1:]]
            tensor = node.input[0]
            if tensor in stored:
                scales.append(stored[tensor])
            else:
                tensor = f"{prefix}rounded"
                graph.graph.node.append(
                    onnx.helper.make_node("QuantizeLinear", [source, *node.input[1:]], [tensor])
                )
            for scale in scales:
                if scale.name not in added:
                    added.add(scale.name)
                    graph.graph.initializer.append(scale)
            copy = NodeProto()
            copy.CopyFrom(node)
            copy.name = ""
            copy.input[0] = tensor
            copy.output[0] = f"{prefix}{len(inputs)}"
            inputs.append(copy.output[0])
            graph.graph.node.append(copy)
        twin = NodeProto()
        twin.CopyFrom(layer)
        twin.name, twin.output[0] = f"{prefix}layer", f"{prefix}output"
        twin.input[0], twin.input[1] = inputs
        graph.graph.node.append(twin)
        make = onnx.helper.make_node
        graph.graph.node.extend(
            [
                make("Sub", [twin.output[0], layer.output[0]], [f"{prefix}error"]),
                make("ReduceSumSquare", [f"{prefix}error"], [f"{prefix}noise"], keepdims=0),
                make("ReduceMean", [layer.output[0]], [f"{prefix}mean"], keepdims=0),
                make("Sub", [layer.output[0], f"{prefix}mean"], [f"{prefix}centred"]),
                make("ReduceSumSquare", [f"{prefix}centred"], [f"{prefix}power"], keepdims=0),
            ]
        )
        names.append(layer.name)
        outputs += [f"{prefix}noise", f"{prefix}power"]
    if not names:
        return {}
    graph.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs
    )
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    source = original.graph.input[0].name
    totals = np.sum([session.run(outputs, {source: one}) for one in images[:, np.newaxis]], axis=0)
    return {
        name: float(noise) / max(float(power), _TINY)
        for name, noise, power in zip(names, totals[::2], totals[1::2], strict=True)
    }


def _find_stem(graph: GraphProto) -> list[NodeProto]:
    """Return the first convolution, and the depthwise ones that follow it without a branch.

    They stay float. The first is faster in float: if it is int8, ONNX Runtime moves the image's
    transpose behind the normalisation, which is slow channels-last. And rounding the weights of the
    first depthwise layer costs most accuracy; depthwise layers are known to be difficult (Sheng et
    al., 2018, "A Quantization-Friendly Separable Convolution for MobileNets").

    Only the stem may be float: when ONNX Runtime loads the model, it quantises a float convolution
    between two quantised layers, with a single scale for all its weights (its
    WeightBiasQuantization pass), and that ruins a depthwise layer.
    """
    stem: list[NodeProto] = []
    node = next((node for node in graph.node if node.op_type == "Conv"), None)
    while node is not None:
        if node.op_type == "Conv":
            if stem and _count_groups(node) == 1:
                break
            stem.append(node)
        elif node.op_type not in ("Clip", "Relu"):
            break
        consumers = [other for other in graph.node if node.output[0] in other.input]
        node = consumers[0] if len(consumers) == 1 else None
    return stem


def _correct_biases(original: ModelProto, quantised: ModelProto, calibration: Images) -> None:
    """Subtract the mean error of the rounded weights from each bias of `quantised`.

    A layer's mean input is rarely zero (it comes from a ReLU6), so a rounding error of its weights
    W shifts its output y by mean(y) - mean(y') = (W - W') mean(x), in the same direction for every
    image. With few weights per channel (nine in a depthwise layer) the errors do not cancel.
    Nagel et al., 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction",
    section 4.2; here the mean input is measured over `calibration`, not derived.
    """
    tensors = {tensor.name: tensor for tensor in quantised.graph.initializer}
    values = {name: numpy_helper.to_array(tensor) for name, tensor in tensors.items()}
    rounded = {node.name: node for node in quantised.graph.node}
    dequantise = {
        node.output[0]: node for node in quantised.graph.node if node.op_type == "DequantizeLinear"
    }
    weights = {tensor.name: tensor for tensor in original.graph.initializer}
    layers = [
        node
        for node in original.graph.node
        if node.op_type in ("Conv", "Gemm")
        and len(node.input) == 3
        and {*node.input[1:]} <= weights.keys()
        and {*rounded[node.name].input[1:]} <= dequantise.keys()
    ]
    if not layers:
        return
    means = _measure_mean_inputs(original, layers, calibration)
    for layer in layers:
        _, weight, bias = rounded[layer.name].input
        exact = numpy_helper.to_array(weights[layer.input[1]])
        lost = exact - _run(dequantise[weight], values)
        # The layer itself, run on (x, W - W', no bias), gives the error of y.
        stored, scale = dequantise[bias].input[:2]
        inputs = (means[layer.input[0]], lost, np.zeros(values[stored].shape, np.float32))
        error = _run(layer, dict(zip(layer.input, inputs, strict=True)))
        error = error.mean(axis=(0, *range(2, error.ndim)))  # per output channel
        corrected = values[stored] + np.rint(error / values[scale])
        tensors[stored].CopyFrom(numpy_helper.from_array(corrected.astype(np.int32), stored))


def _run(node: NodeProto, values: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    """Compute the output of one node; `values` holds its inputs by name."""
    (output,) = ReferenceEvaluator(node).run(None, {name: values[name] for name in node.input})
    return np.asarray(output)


def _measure_mean_inputs(
    model: ModelProto, layers: Sequence[NodeProto], calibration: Images
) -> dict[str, NDArray[np.float32]]:
    """Average the input of each layer over the images, position by position.

    Returns:
        By tensor name, 1 × channels × height × width (1 × features for a Gemm). The positions are
        kept, so that a layer that runs on the average pads its edges as it does on an image.
    """
    exposed = ModelProto()
    exposed.CopyFrom(model)
    names = list(dict.fromkeys(layer.input[0] for layer in layers))
    # Summed within the graph: all feature maps of a batch would not fit in a small memory.
    exposed.graph.initializer.append(numpy_helper.from_array(np.array([0], np.int64), "images"))
    for name in names:
        total = f"{name}/total"
        exposed.graph.node.append(
            onnx.helper.make_node("ReduceSum", [name, "images"], [total], keepdims=1)
        )
        exposed.graph.output.append(
            onnx.helper.make_tensor_value_info(total, onnx.TensorProto.FLOAT, None)
        )
    session = onnxruntime.InferenceSession(
        exposed.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    totals: dict[str, NDArray[np.float32]] = {}
    batches = _Batches(model.graph.input[0].name, calibration)
    while (batch := batches.get_next()) is not None:
        sums = session.run([f"{name}/total" for name in names], batch)
        for name, value in zip(names, sums, strict=True):
            totals[name] = totals.get(name, 0) + value
    return {name: total / np.float32(len(calibration)) for name, total in totals.items()}


def _count_groups(convolution: NodeProto) -> int:
    """Return in how many groups the channels are convolved; more than one means depthwise."""
    return next((item.i for item in convolution.attribute if item.name == "group"), 1)


class _Batches(CalibrationDataReader):  # type: ignore[misc]  # ONNX Runtime has no type hints.
    """Returns `BATCH` images at a time, as input `name`; None at the end."""

    def __init__(self, name: str, images: Images) -> None:
        self._batches: Iterator[dict[str, Images]] = (
            {name: images[start : start + BATCH]} for start in range(0, len(images), BATCH)
        )

    def get_next(self) -> dict[str, Images] | None:
        return next(self._batches, None)


def quantise_apart(fp32: Path, int8: Path, calibration: Images) -> None:
    """Do as `quantise` in a process of its own, which has no torch and gives all memory back.

    Raises:
        RuntimeError: the process failed; the message is its last line.
    """
    images = int8.with_suffix(".npy")
    np.save(images, calibration)
    paths = [str(path.resolve()) for path in (fp32, int8, images)]
    done = subprocess.run(
        [sys.executable, "-m", "service.artifact.quantisation", *paths],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    images.unlink()
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise RuntimeError(f"quantisation failed: {last}")


if __name__ == "__main__":
    quantise(Path(sys.argv[1]), Path(sys.argv[2]), np.load(sys.argv[3]))
