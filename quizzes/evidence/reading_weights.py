"""Every forward pass reads all weights: their bytes limit the rate, and a batch shares them."""

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from learner.language import _
from learner.stopwatch import median_ms
from quizzes.evidence import Evidence
from service.machine import available_cores


def memory_bound() -> Evidence:
    """Show that twice the weights take twice as long: one image through two matrices."""
    image = np.ones(1280, dtype=np.float32)
    large = _large_matrix(120_000)
    half = large[: len(large) // 2]
    large_ms, half_ms = (
        median_ms(lambda: large @ image, repeats=7),
        median_ms(lambda: half @ image, repeats=7),
    )
    assert large_ms > 1.3 * half_ms, f"{large_ms:.0f} ms, {half_ms:.0f} ms"
    read = large.nbytes / large_ms * 1000
    return Evidence(
        shows=_(
            "An image through {megabytes:.0f} MB of weights takes {large:.0f} ms, through half of "
            "them {half:.0f} ms. That is {rate:.0f} GB a second, so with 1 GB of weights at most "
            "{images:.0f} images a second, one at a time."
        ).format(
            megabytes=large.nbytes / 1e6,
            large=large_ms,
            half=half_ms,
            rate=read / 1e9,
            images=read / 1e9,
        ),
        values={_("half of the weights"): half_ms, _("all of the weights"): large_ms},
        unit="ms",
        varies=_("the number of weights; image and program are the same."),
    )


def shared_reading() -> Evidence:
    """Show that eight images in a batch take less than eight times as long as one."""
    session = _linear_layer(60_000)
    images = np.random.default_rng(0).random((8, 1280), dtype=np.float32)
    one = median_ms(lambda: session.run(None, {"x": images[:1]}), repeats=7)
    eight = median_ms(lambda: session.run(None, {"x": images}), repeats=7)
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
        varies=_("the number of images in a call; layer and threads are the same."),
    )


def _large_matrix(rows: int) -> npt.NDArray[np.float32]:
    """Return weights, float32 rows × 1280; their values do not change the time of a product."""
    return np.full((rows, 1280), 0.5, dtype=np.float32)


def _linear_layer(rows: int) -> onnxruntime.InferenceSession:
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1280])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", rows])],
        initializer=[numpy_helper.from_array(_large_matrix(rows), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = available_cores()
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
