"""The sparse int8 form on the CPU: features by ONNX Runtime, and a classifier that skips zeros.

A classifier of very many classes is bound by reading its weights. After a ReLU most features of an
image are zero or nearly: only the weights of the largest are read. In language models the same is
known as activation sparsity (Liu et al., 2024, "TEAL: Training-Free Activation Sparsity in Large
Language Models"). And few classes matter: all are screened by half the bits of still fewer
features, then the best are computed again, well (as vector search ranks again what a coarse index
found: Jégou et al., 2011, "Searching in One Billion Vectors: Re-rank with Source Coding").
"""

import ctypes
from pathlib import Path

import numpy as np
import numpy.typing as npt

from service.engines.base import Images, Probabilities, stack, top_k
from service.engines.onnx_runtime import open_session, runtime

HIGH, LOW, CLASSES, KERNEL = "high.npy", "low.npy", "classes.npy", "sparse_linear.so"
"""Beside the graph of the features: the weights' high and low halves, as sparse_linear.c says;
float32 2 × classes, each class's step and bias; and sparse_linear.c, compiled."""
MOST = 127
"""Largest int8 value of a weight and of a feature; -128 is left out: the range is symmetric."""
ROWS = 4
"""The kernel's step: it takes a multiple of so many features."""
SCREENED = 0.4
"""Of the features that are read at all: read for every class."""
REFINED = 32
"""Classes that are computed again."""
_TINY = float(np.finfo(np.float32).tiny)


class SparseLinear:
    """A linear layer of which little is read."""

    def __init__(self, folder: Path) -> None:
        """Load what lies in `folder`, which must have been verified: the kernel is machine code.

        Raises:
            OSError: the kernel is for another kind of processor or system.
        """
        kernel = ctypes.CDLL(str((folder / KERNEL).resolve()))
        self._high: npt.NDArray[np.uint16] = np.load(folder / HIGH, allow_pickle=False)
        self._low: npt.NDArray[np.uint8] = np.load(folder / LOW, allow_pickle=False)
        self._steps, self._bias = np.load(folder / CLASSES, allow_pickle=False)
        pointer, size, number = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
        image, classes = (pointer, pointer, size, number), (pointer, pointer)
        self._screen, self._refine = kernel.screen, kernel.refine
        self._screen.argtypes = [pointer, size, size, *image, *classes, pointer]
        self._refine.argtypes = [pointer, pointer, size, *image, *classes, pointer, size, pointer]
        self._screen.restype = self._refine.restype = None

    def __call__(
        self, features: npt.NDArray[np.int64], values: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        """Logits, float32, of all classes, from some features.

        All lack one number, the same for all, which a softmax does not see. The values are rounded
        to 8 bits. From any thread; Python's lock is let go of meanwhile.

        Args:
            features: their numbers, the largest value's first.
            values: theirs.
        """
        scale = max(float(np.abs(values).max()), _TINY) / MOST
        rounded = np.rint(values / scale).astype(np.int8)
        logits = np.empty(len(self._bias), np.float32)
        image = (features.ctypes.data, rounded.ctypes.data)
        classes = (self._steps.ctypes.data, self._bias.ctypes.data)
        high, width = self._high.ctypes.data, self._high.shape[1]
        screened = screened_of(len(features))
        self._screen(
            high, width, len(logits), *image, screened, scale, *classes, logits.ctypes.data
        )
        best = top_k(logits, min(REFINED, len(logits)))
        rough = logits[best]
        self._refine(
            high, self._low.ctypes.data, width, *image, len(features), scale, *classes,
            best.ctypes.data, len(best), logits.ctypes.data,
        )  # fmt: skip
        # What the other features add to the best classes, they add to all about as much: if only
        # those had it that were computed again, they would come out too probable.
        logits[best] -= (logits[best] - rough).mean()
        return logits


def screened_of(count: int) -> int:
    """How many of `count` features are read for every class."""
    return ROWS * max(1, round(SCREENED * count / ROWS))


class SparseOnnxEngine:
    """Features in a graph that also picks the largest, the classifier in a kernel, and softmax."""

    def __init__(self, path: Path, threads: int) -> None:
        """Load the features' graph `path` and the classifier beside it."""
        self._session = open_session(path, threads)
        self._input = self._session.get_inputs()[0].name
        self._classifier = SparseLinear(path.parent)
        self.runtime = runtime()
        self.device = "cpu"

    def __call__(self, images: Images) -> Probabilities:
        """Classify uint8 images; float32 N × classes."""
        chosen, values = self._session.run(None, {self._input: stack(images)})
        rows = [self._classifier(*image) for image in zip(chosen, values, strict=True)]
        for row in rows:  # in place: a row is large, and touched for each step
            row -= row.max()
            np.exp(row, out=row)
            row /= row.sum()
        return rows[0][np.newaxis] if len(rows) == 1 else np.stack(rows)


def load(path: Path, device: str, threads: int) -> SparseOnnxEngine:
    """Load the form whose features are at `path`; `device` is "cpu" (startup sees to that)."""
    return SparseOnnxEngine(path, threads)
