"""The sparse int8 form on the CPU: features by ONNX Runtime, and a classifier that skips zeros.

A classifier of very many classes is bound by reading its weights. After a ReLU most features of an
image are zero or nearly: only the weights of the largest are read (sparse_linear.c). In language
models the same is known as activation sparsity (Liu et al., 2024, "TEAL: Training-Free Activation
Sparsity in Large Language Models").
"""

import ctypes
from pathlib import Path

import numpy as np
import numpy.typing as npt

from service.engines.base import PixelBatch, Probabilities
from service.engines.onnx_runtime import open_session, runtime

WEIGHTS, CLASSES, KERNEL = "weights.npy", "classes.npy", "sparse_linear.so"
"""Beside the graph of the features: int8 tiles × features × classes a tile; float32 2 × classes,
each class's step and bias; and sparse_linear.c, compiled."""
MOST = 127
"""Largest int8 value of a weight and of a feature; -128 is left out: the range is symmetric."""
_TINY = float(np.finfo(np.float32).tiny)


class SparseLinear:
    """A linear layer of which only the weights of some features are read."""

    def __init__(self, folder: Path) -> None:
        """Load what lies in `folder`, which must have been verified: the kernel is machine code.

        Raises:
            OSError: the kernel is for another kind of processor or system.
        """
        self._weights: npt.NDArray[np.int8] = np.load(folder / WEIGHTS, allow_pickle=False)
        self._steps, self._bias = np.load(folder / CLASSES, allow_pickle=False)
        pointer, size = ctypes.c_void_p, ctypes.c_int64
        self._kernel = ctypes.CDLL(str((folder / KERNEL).resolve())).sparse_linear
        self._kernel.argtypes = [
            pointer, size, size, pointer, pointer, size, ctypes.c_float, pointer, pointer, pointer
        ]  # fmt: skip
        self._kernel.restype = None

    def __call__(
        self, features: npt.NDArray[np.int64], values: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        """Logits, float32, from some features' numbers and values, each of the same length.

        The values are rounded to 8 bits. From any thread; Python's lock is let go of meanwhile.
        """
        scale = max(float(np.abs(values).max()), _TINY) / MOST
        rounded = np.rint(values / scale).astype(np.int8)
        logits = np.empty(len(self._bias), np.float32)
        self._kernel(
            self._weights.ctypes.data, self._weights.shape[1], len(logits),
            features.ctypes.data, rounded.ctypes.data, len(features), scale,
            self._steps.ctypes.data, self._bias.ctypes.data, logits.ctypes.data,
        )  # fmt: skip
        return logits


class SparseOnnxEngine:
    """Features in a graph that also picks the largest, the classifier in a kernel, and softmax."""

    def __init__(self, path: Path, threads: int) -> None:
        """Load the features' graph `path` and the classifier beside it."""
        self._session = open_session(path, threads)
        self._input = self._session.get_inputs()[0].name
        self._classifier = SparseLinear(path.parent)
        self.runtime = runtime()
        self.device = "cpu"

    def __call__(self, pixels: PixelBatch) -> Probabilities:
        """Classify uint8 N × H × W × 3; float32 N × classes."""
        chosen, values = self._session.run(None, {self._input: pixels})
        rows = [self._classifier(*image) for image in zip(chosen, values, strict=True)]
        for row in rows:  # in place: a row is large, and touched for each step
            row -= row.max()
            np.exp(row, out=row)
            row /= row.sum()
        return rows[0][np.newaxis] if len(rows) == 1 else np.stack(rows)


def load(path: Path, device: str, threads: int) -> SparseOnnxEngine:
    """Load the form whose features are at `path`; `device` is "cpu" (startup sees to that)."""
    return SparseOnnxEngine(path, threads)
