"""A batch reads the weights once for all of its images."""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from learner.language import _
from quizzes.evidence.base import Evidence
from quizzes.evidence.matrix_times import large_matrix, median_s
from service.machine import available_cores


def run() -> Evidence:
    """Time a linear layer of 307 MB for one image and for eight."""
    session = _linear_layer(60_000)
    images = np.random.default_rng(0).random((8, 1280), dtype=np.float32)
    one = median_s(lambda: session.run(None, {"x": images[:1]})) * 1000
    eight = median_s(lambda: session.run(None, {"x": images})) * 1000
    assert eight < 0.7 * 8 * one, f"{eight:.0f} ms, {one:.0f} ms"
    return Evidence(
        shows=_(
            "A layer of 307 MB takes {one:.1f} ms for one image and {eight:.1f} ms for eight "
            "different ones: {times:.1f} times as long, not eight times."
        ).format(one=one, eight=eight, times=eight / one),
        values={
            _("one image"): one,
            _("eight images, one by one"): 8 * one,
            _("eight images, a batch"): eight,
        },
        unit="ms",
    )


def _linear_layer(rows: int) -> onnxruntime.InferenceSession:
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1280])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", rows])],
        initializer=[numpy_helper.from_array(large_matrix(rows), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = available_cores()
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
