"""The limit: the same preprocessing and the same engine with no server, one process a core.

What a server reaches of it is what its serving leaves. And the floors under it: the machine's
measured arithmetic and memory rates.
"""

import multiprocessing
import time
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np

from service.artifact.manifest import Manifest
from service.engines import FORMS, load_engine
from service.engines.base import Engine
from service.machine import available_cores
from service.preprocessing import preprocess

BATCHES = (1, 4)


@dataclass(frozen=True, slots=True)
class Limit:
    """What the machine does without a server."""

    images_per_s: float
    """All cores together, bytes to top 5."""
    preprocess_ms: float
    """Median of one image on one of the busy cores."""
    forward_ms: float
    """Likewise."""


def measure_limit(
    bundle: Path, form: str, images: list[bytes], seconds: float, batch: int = 1
) -> Limit:
    """One process a core, one thread each, all at full speed for `seconds`."""
    context = multiprocessing.get_context("spawn")
    cores = available_cores()
    barrier = context.Barrier(cores)
    with context.Pool(cores, initializer=_prepare, initargs=(barrier,)) as pool:
        jobs = [
            pool.apply_async(_run, (bundle, form, images, seconds, batch, number))
            for number in range(cores)
        ]
        results = [job.get(timeout=seconds + 120) for job in jobs]
    return Limit(
        images_per_s=sum(result.images_per_s for result in results),
        preprocess_ms=float(np.median([result.preprocess_ms for result in results])),
        forward_ms=float(np.median([result.forward_ms for result in results])),
    )


def lone_ms(bundle: Path, form: str, images: list[bytes], count: int = 300) -> np.ndarray:
    """Preprocessing and forward pass of one image at a time in this process, on one thread: ms.

    20 ms of pause before each, as requests at a low rate find the machine.
    """
    engine = _load(bundle, form, threads=1)
    times = []
    for number in range(count):
        time.sleep(0.02)
        started = time.perf_counter()
        _top(engine(preprocess(images[number % len(images)])[None]))
        times.append((time.perf_counter() - started) * 1000)
    return np.array(times[5:])


def _load(bundle: Path, form: str, threads: int) -> Engine:
    manifest = Manifest.model_validate_json((bundle / "manifest.json").read_bytes())
    return load_engine(FORMS[form], bundle / manifest.forms[form].file, "cpu", threads)


_barriers: list[Barrier] = []
"""In a measuring process: where it waits for the others."""


def _prepare(barrier: Barrier) -> None:
    _barriers.append(barrier)


def _run(
    bundle: Path, form: str, images: list[bytes], seconds: float, batch: int, number: int
) -> Limit:
    engine = _load(bundle, form, threads=1)
    preprocessing, forwards = [], []
    done = number * 7  # not the same image on all cores at once
    _step(engine, images, done, batch)
    _barriers[0].wait()
    started = time.perf_counter()
    count = 0
    while time.perf_counter() - started < seconds:
        preprocess_s, forward_s = _step(engine, images, done + count, batch)
        preprocessing.append(preprocess_s / batch)
        forwards.append(forward_s / batch)
        count += batch
    return Limit(
        images_per_s=count / (time.perf_counter() - started),
        preprocess_ms=float(np.median(preprocessing)) * 1000,
        forward_ms=float(np.median(forwards)) * 1000,
    )


def _step(engine: Engine, images: list[bytes], first: int, batch: int) -> tuple[float, float]:
    """One batch; seconds of its preprocessing and of its forward pass."""
    started = time.perf_counter()
    pixels = np.stack(
        [preprocess(images[(first + offset) % len(images)]) for offset in range(batch)]
    )
    decoded = time.perf_counter()
    _top(engine(pixels))
    return decoded - started, time.perf_counter() - decoded


def _top(probabilities: np.ndarray) -> np.ndarray:
    return np.argpartition(-probabilities, 5)[:, :5]


def gemm_gflops(seconds: float = 1.0) -> float:
    """Billions of fp32 multiplications and additions a second, of a matrix product on all cores.

    By ONNX Runtime, whose kernels the service uses.
    """
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper

    side = 1024
    shape = [side, side]
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "abc"]
    node = helper.make_node("MatMul", ["a", "b"], ["c"])
    graph = helper.make_graph([node], "gemm", tensors[:2], tensors[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = available_cores()
    session = onnxruntime.InferenceSession(
        onnx.ModelProto.SerializeToString(model), options, providers=["CPUExecutionProvider"]
    )
    inputs = {name: np.ones(shape, np.float32) for name in "ab"}
    best = _best(lambda: session.run(None, inputs), seconds)
    return 2 * side**3 / best / 1e9


def memory_gb_per_s(seconds: float = 1.0) -> float:
    """Billions of bytes a second that all cores together can read: sums over 256 MiB each."""
    from concurrent.futures import ThreadPoolExecutor

    cores = available_cores()
    blocks = [np.ones(2**25, np.float64) for _ in range(cores)]
    with ThreadPoolExecutor(cores) as pool:
        best = _best(lambda: list(pool.map(np.sum, blocks)), seconds)
    return cores * blocks[0].nbytes / best / 1e9


def _best(work: object, seconds: float) -> float:
    """Seconds of the fastest of as many runs as fit."""
    assert callable(work)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)
