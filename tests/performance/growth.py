"""How cost grows: with the rate, the image's size, the batch, the number of classes.

`.venv/bin/python -m tests.performance.growth` measures the last three alone, in a minute or two,
and writes reports/growth.png.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from challenges.load.images import distinct_images
from service.artifact.manifest import Manifest
from service.artifact.screened import build_classifier
from service.engines import FORMS, load_engine
from service.engines.base import Engine
from service.machine import available_cores
from service.preprocessing import preprocess
from service.settings import DEFAULT_ARTIFACT, ROOT
from service.web.responses import top_predictions
from tests.performance import report
from tests.performance.experiments import NoFigureError, Server

SIZES = ((224, 224), (500, 375), (1280, 720), (1920, 1080), (3840, 2160))
BATCHES = (1, 2, 4, 8, 16, 32)
CLASSES = (1_000, 10_000, 50_000, 200_000)
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_FEATURES = 1280
_REPEATS = 15


def with_rate(server: Server, limit: float, seconds: float) -> list[dict[str, float]]:
    """p50 and p99 under Poisson arrivals at shares of the limit; infinite where some failed."""
    curve = []
    for share in SHARES:
        try:
            seen = server.load(share * limit, seconds, "poisson")
        except NoFigureError:
            continue
        ok = seen.latency_ms[seen.ok]
        curve.append(
            {
                "rate": share * limit,
                "p50_ms": seen.percentile(50),
                "p99_ms": seen.percentile(99),
                "refused_share": float((~seen.ok).mean()),
                "p99_answered_ms": float(np.percentile(ok, 99)) if len(ok) else float("nan"),
            }
        )
    return curve


def measure() -> dict[str, Any]:
    """The three that need no server. Milliseconds, medians."""
    manifest = Manifest.model_validate_json((DEFAULT_ARTIFACT / "manifest.json").read_bytes())
    forms = ("onnx-fp32", "onnx-int8")
    shape = (manifest.preprocessing.crop, manifest.preprocessing.crop, 3)
    batches = {}
    for form in forms:
        path = DEFAULT_ARTIFACT / manifest.forms[form].file
        for threads in dict.fromkeys((1, available_cores())):
            engine = load_engine(FORMS[form], path, "cpu", threads)
            batches[f"{form}, {threads} threads"] = {
                size: _median_ms(partial(_blank_batch, engine, (size, *shape))) / size
                for size in BATCHES
            }
    return {"image_size": _sizes(), "batch_ms_per_image": batches, "classes": _classes()}


def _blank_batch(engine: Engine, shape: tuple[int, ...], _: int) -> None:
    engine(np.zeros(shape, np.uint8))


def _sizes() -> list[dict[str, float]]:
    rows = []
    for size in SIZES:
        photos = distinct_images(7, size)
        rows.append(
            {
                "width": size[0],
                "height": size[1],
                "kilobytes": statistics.mean(map(len, photos)) / 1000,
                "preprocess_ms": _median_ms(lambda n, p=photos: preprocess(p[n % len(p)])),
            }
        )
    return rows


def _classes() -> list[dict[str, float]]:
    """A classifier of N classes on the features of one image, in both forms, and its top 5."""
    rows = []
    random = np.random.default_rng(0)
    for classes in CLASSES:
        weights = random.standard_normal((classes, _FEATURES), np.float32) / 100
        chunks = [(weights, np.zeros(classes, np.float32))]
        session = _open_session(_classifier(weights))
        screened = _open_session(build_classifier(partial(iter, chunks)))
        features = {"features": random.standard_normal((1, _FEATURES), np.float32)}
        labels = [str(number) for number in range(classes)]
        probabilities = session.run(None, features)[0][0]
        rows.append(
            {
                "classes": classes,
                "forward_ms": _median_ms(lambda _, s=session, f=features: s.run(None, f)),
                "screened_ms": _median_ms(lambda _, s=screened, f=features: s.run(None, f)),
                "top_5_ms": _median_ms(
                    lambda _, p=probabilities, names=labels: top_predictions(p, 5, names)
                ),
            }
        )
    return rows


def _open_session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )


def _classifier(weights: np.ndarray) -> onnx.ModelProto:
    classes = len(weights)
    values = [
        helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", _FEATURES]),
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", classes]),
    ]
    nodes = [
        helper.make_node("MatMul", ["features", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
    ]
    initializer = [onnx.numpy_helper.from_array(weights.T, "weights")]
    graph = helper.make_graph(nodes, "classifier", values[:1], values[1:], initializer)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def _median_ms(work: Callable[..., object]) -> float:
    times = []
    for number in range(_REPEATS):
        started = time.perf_counter()
        work(number)
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times[1:])


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    measured = measure()
    print("\n".join(report.list_growth(measured)))
    (ROOT / "reports").mkdir(exist_ok=True)
    report.draw_growth(measured, ROOT / "reports" / "growth.png")
