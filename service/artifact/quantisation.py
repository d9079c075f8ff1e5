"""Static int8 quantisation of an ONNX classifier, for ONNX Runtime on a CPU.

`quantize_static` takes the ranges from calibration pictures. Two additions keep the accuracy: the
stem stays in float, and each layer's bias is corrected by the mean error of its rounded weights.
"""

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

BATCH = 10
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
    model = onnx.load(fp32)
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{number}"
    original = ModelProto()
    original.CopyFrom(model)
    add_pre_process_metadata(model)  # else ONNX Runtime advises, in its log, to fold BatchNorm
    quantize_static(
        model,
        int8,
        _Batches(model.graph.input[0].name, calibration),
        op_types_to_quantize=QUANTISED_OPERATORS,
        nodes_to_exclude=[node.name for node in _find_stem(model.graph)],
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        extra_options={"OpTypesToExcludeOutputQuantization": ["Gemm"]},
    )
    quantised = onnx.load(int8)
    _correct_biases(original, quantised, calibration)
    onnx.save(quantised, int8)


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
    exposed.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names
    )
    session = onnxruntime.InferenceSession(
        exposed.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    totals: dict[str, NDArray[np.float32]] = {}
    batches = _Batches(model.graph.input[0].name, calibration)
    while (batch := batches.get_next()) is not None:
        for name, value in zip(names, session.run(names, batch), strict=True):
            totals[name] = totals.get(name, 0) + value.sum(axis=0, keepdims=True)
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
