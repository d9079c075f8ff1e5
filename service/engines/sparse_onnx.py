"""The sparse int8 form on the CPU: features by ONNX Runtime, and a classifier that skips zeros.

The speed of a classifier of very many classes is limited by reading its weights. After a ReLU most
features of an image are zero or nearly zero, so only the weights of the largest features are read.
For language models this is known as activation sparsity (Liu et al., 2024, "TEAL: Training-Free
Activation Sparsity in Large Language Models"). And few classes matter: all classes are screened
with half the bits of still fewer features, then the best ones are computed again with all bits, as
vector search re-ranks the results of a coarse index (Jégou et al., 2011, "Searching in One Billion
Vectors: Re-rank with Source Coding").
"""

import ctypes
import os
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from service.engines.base import File, Images, Probabilities, stack, top_k
from service.engines.onnx_runtime import open_session, runtime

HIGH, LOW, CLASSES, KERNEL = "high.npy", "low.npy", "classes.npy", "sparse_linear.so"
"""Files in the folder of the features' graph: the high and the low halves of the weights, in the
layout of sparse_linear.c; step and bias of each class, float32 2 × classes; and the compiled
sparse_linear.c."""
MOST = 127
"""Largest int8 value of a weight and of a feature; the range is symmetric, without -128."""
ROWS = 4
"""The kernel takes a multiple of this number of features."""
SCREENED = 0.4
"""Share of the chosen features that are read for every class, 0–1."""
REFINED = 32
"""Number of classes that are computed again."""
_TINY = float(np.finfo(np.float32).tiny)


class SparseLinear:
    """A linear layer that reads a small part of its weights."""

    def __init__(self, folder: File) -> None:
        """Load the layer from `folder`, which must have been verified: the kernel is machine code.

        Raises:
            OSError: the kernel was compiled for another kind of processor or system.
        """
        kernel = load_library(folder / KERNEL)
        self._high: npt.NDArray[np.uint16] = load_array(folder / HIGH)
        self._low: npt.NDArray[np.uint8] = load_array(folder / LOW)
        self._steps, self._bias = load_array(folder / CLASSES)
        pointer, size, number = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
        image, classes = (pointer, pointer, size, number), (pointer, pointer)
        self._screen, self._refine = kernel.screen, kernel.refine
        self._screen.argtypes = [pointer, size, size, *image, *classes, pointer]
        self._refine.argtypes = [pointer, pointer, size, *image, *classes, pointer, size, pointer]
        self._screen.restype = self._refine.restype = None

    def __call__(
        self, features: npt.NDArray[np.int64], values: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        """Compute the logits of all classes, float32, from some of the features.

        A constant, the same for all logits, is missing; a softmax ignores it. The values are
        rounded to 8 bits. Any thread may call this; it releases Python's global lock.

        Args:
            features: indices of the features, that of the largest value first.
            values: their values.
        """
        scale = max(float(np.abs(values).max()), _TINY) / MOST
        rounded = np.rint(values / scale).astype(np.int8)
        logits = np.empty(len(self._bias), np.float32)
        image = (features.ctypes.data, rounded.ctypes.data)
        classes = (self._steps.ctypes.data, self._bias.ctypes.data)
        high, width = self._high.ctypes.data, self._high.shape[1]
        screened = count_screened(len(features))
        self._screen(
            high, width, len(logits), *image, screened, scale, *classes, logits.ctypes.data
        )
        best = top_k(logits, min(REFINED, len(logits)))
        rough = logits[best]
        self._refine(
            high, self._low.ctypes.data, width, *image, len(features), scale, *classes,
            best.ctypes.data, len(best), logits.ctypes.data,
        )  # fmt: skip
        # The features that were not screened add about as much to every class. If only the best
        # classes had this part, their probabilities would be too high.
        logits[best] -= (logits[best] - rough).mean()
        return logits


def load_array(file: File) -> npt.NDArray[Any]:
    """Return the array of a .npy file. It shares the memory of the bytes, and cannot be changed."""
    data = file.read_bytes()
    stream = BytesIO(data)
    version = np.lib.format.read_magic(stream)
    shape, by_columns, dtype = np.lib.format.read_array_header_1_0(stream)
    if version != (1, 0) or by_columns:
        raise ValueError(f"{file.name} is no .npy file of version 1.0 with its rows one by one")
    return np.frombuffer(data, dtype, offset=stream.tell()).reshape(shape)


def load_library(file: File) -> ctypes.CDLL:
    """Load machine code from the bytes of a file, not from its path, where it may be another now.

    Raises:
        OSError: it was compiled for another kind of processor or system.
    """
    if not hasattr(os, "memfd_create"):
        with tempfile.TemporaryDirectory() as private:
            path = Path(private) / file.name
            path.write_bytes(file.read_bytes())
            return ctypes.CDLL(str(path))
    descriptor = os.memfd_create(file.name)
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as memory:
            memory.write(file.read_bytes())
        # It stays open: the loader would take a new library at the same path for this one.
        return ctypes.CDLL(f"/proc/self/fd/{descriptor}")
    except OSError as error:
        os.close(descriptor)
        raise OSError(f"{file.name}: {error}") from error


def count_screened(count: int) -> int:
    """Return how many of `count` chosen features are read for every class."""
    return ROWS * max(1, round(SCREENED * count / ROWS))


class SparseOnnxEngine:
    """A graph that computes features and picks the largest, then the classifier and a softmax."""

    def __init__(self, file: File, threads: int) -> None:
        """Load the features' graph and the classifier in the same folder."""
        self._session = open_session(file, threads)
        self._input = self._session.get_inputs()[0].name
        self._classifier = SparseLinear(file.parent)
        self.runtime = runtime()
        self.device = "cpu"

    def __call__(self, images: Images) -> Probabilities:
        """Classify uint8 images; float32 N × classes."""
        chosen, values = self._session.run(None, {self._input: stack(images)})
        rows = [self._classifier(*image) for image in zip(chosen, values, strict=True)]
        for row in rows:  # in place, because a row is large
            row -= row.max()
            np.exp(row, out=row)
            row /= row.sum()
        return rows[0][np.newaxis] if len(rows) == 1 else np.stack(rows)


def load(file: File, device: str, threads: int) -> SparseOnnxEngine:
    """Load the form whose graph is `file`; `device` must be "cpu", which startup ensures."""
    return SparseOnnxEngine(file, threads)
