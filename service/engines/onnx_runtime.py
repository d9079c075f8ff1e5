"""The ONNX forms (fp32 and int8), run by ONNX Runtime on the CPU, without torch."""

import platform
from pathlib import Path

import onnxruntime

from service.engines.base import File, Images, Probabilities, stack


def runtime() -> str:
    """Return its name and version, as an engine states it."""
    return f"ONNX Runtime {onnxruntime.__version__}"


WEIGHTS = "weights.bin"
"""The file with the large weights of a graph, beside it, where it has one."""
_CPU_INFO = Path("/proc/cpuinfo")


def adds_int8_products_exactly() -> bool:
    """Return whether the processor adds products of uint8 and int8 without overflow.

    x86 processors without VNNI instructions add pairs of products in 16 bits, where they saturate
    (onnxruntime.ai/docs/performance/model-optimizations/quantization.html, "U8S8").
    """
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return True
    try:
        return "vnni" in _CPU_INFO.read_text()  # avx512_vnni, avx_vnni
    except OSError:
        return False  # another system than Linux: unknown


def open_session(file: File, threads: int) -> onnxruntime.InferenceSession:
    """Load a graph that `threads` threads of the CPU will run."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A thread that waits for its part of the next layer spins just long enough to bridge the gap
    # between two layers, then sleeps. Longer spinning (1 ms by default) would occupy the core that
    # decodes the next image.
    options.add_session_config_entry("session.intra_op.spin_duration_us", "50")
    if not adds_int8_products_exactly():
        # Compute exactly; only here, because it is far slower.
        options.add_session_config_entry("session.x64quantprecision", "1")
    options.log_severity_level = 3  # errors only; its warnings are not actionable
    if (weights := file.parent / WEIGHTS).is_file():
        data = weights.read_bytes()
        options.add_external_initializers_from_files_in_memory([WEIGHTS], [data], [len(data)])
    return onnxruntime.InferenceSession(
        file.read_bytes(), options, providers=["CPUExecutionProvider"]
    )


class OnnxRuntimeEngine:
    """An ONNX graph from uint8 pixels to probabilities."""

    def __init__(self, file: File, threads: int) -> None:
        self._session = open_session(file, threads)
        self._input = self._session.get_inputs()[0].name
        self.runtime = runtime()
        self.device = "cpu"

    def __call__(self, images: Images) -> Probabilities:
        """Classify uint8 images; float32 N × classes."""
        (probabilities,) = self._session.run(None, {self._input: stack(images)})
        return probabilities  # type: ignore[no-any-return]


def load(file: File, device: str, threads: int) -> OnnxRuntimeEngine:
    """Load an ONNX file; `device` must be "cpu", which startup ensures."""
    return OnnxRuntimeEngine(file, threads)
