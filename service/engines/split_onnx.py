"""The split int8 form by ONNX Runtime on the CPU: features, and a classifier in parts.

A classifier of many classes is bound by reading its weights. One thread a part, and the parts
handed out by the runner (inference_runner.py), use all cores without threads that wait for each
other.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from service.engines.base import Partial, PixelBatch, Prepared, Probabilities
from service.engines.onnx_runtime import OnnxRuntimeEngine

PART = "classifier-{:02}.onnx"
"""Files of the classifier's parts, beside that of the features, numbered from 0."""


class SplitOnnxEngine:
    """Features uint8 (quantised inside their graph), logits float32, softmax over all parts."""

    def __init__(self, path: Path) -> None:
        """Load the features' graph `path` and all parts beside it."""
        self._features = OnnxRuntimeEngine(path, threads=1)
        files = sorted(path.parent.glob(PART.format(0).replace("00", "*")))
        if not files:
            raise FileNotFoundError(f"no {PART.format(0)} beside {path.name}")
        self._parts = [OnnxRuntimeEngine(file, threads=1) for file in files]
        self.parts = len(files)
        self.runtime = self._features.runtime
        self.device = "cpu"

    def prepare(self, pixels: npt.NDArray[np.uint8]) -> Prepared:
        """Uint8 features of one image, uint8 height × width × 3."""
        features: Prepared = self._features(pixels[np.newaxis])[0]
        return features

    def run_part(self, part: int, batch: Prepared) -> Partial:
        """The part's share of the softmax, for features uint8 N × features.

        Returns:
            float32 N × (classes + 2): e to the power of each logit less the largest; then that
            largest logit, and the sum. So the powers are computed by all threads, not by the last.
        """
        logits = self._parts[part](batch)
        largest = logits.max(axis=1, keepdims=True)
        logits -= largest
        powers = np.exp(logits, out=logits)
        return np.concatenate([powers, largest, powers.sum(axis=1, keepdims=True)], axis=1)

    def combine(self, partials: Sequence[Partial]) -> Probabilities:
        """Softmax over the classes of all parts; float32 N × classes."""
        largest = np.stack([partial[:, -2] for partial in partials])
        shares = np.exp(largest - largest.max(axis=0))
        sums = np.stack([partial[:, -1] for partial in partials])
        shares /= (shares * sums).sum(axis=0)
        return np.concatenate(
            [
                partial[:, :-2] * share[:, np.newaxis]
                for partial, share in zip(partials, shares, strict=True)
            ],
            axis=1,
        )

    def __call__(self, pixels: PixelBatch) -> Probabilities:
        """All of it on this thread, for uint8 N × height × width × 3."""
        batch = self._features(pixels)
        return self.combine([self.run_part(part, batch) for part in range(self.parts)])


def load(path: Path, device: str, threads: int) -> SplitOnnxEngine:
    """Load the form whose features are at `path`; every session has one thread."""
    return SplitOnnxEngine(path)
