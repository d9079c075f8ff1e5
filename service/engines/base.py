"""What every engine looks like from outside."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

PixelBatch = npt.NDArray[np.uint8]
"""uint8, N × height × width × 3 (RGB)."""
Probabilities = npt.NDArray[np.float32]
"""float32, N × classes; each row sums to 1."""


class Engine(Protocol):
    """A loaded model. Called by one thread at a time."""

    runtime: str
    """Which library runs it, with its version: "ONNX Runtime 1.31.1"."""
    device: str
    """Where it runs: "cpu" or "cuda"."""

    def __call__(self, pixels: PixelBatch) -> Probabilities:
        """Classify a batch of any size from 1."""
        ...


Prepared = npt.NDArray[Any]
"""What the classifier takes of one image; for a whole model, its pixels."""
Partial = npt.NDArray[np.float32]
"""What one part makes of a batch, for `combine`."""


@runtime_checkable
class SplitEngine(Engine, Protocol):
    """A model in two stages, for the runner to divide between the cores.

    Features are computed an image at a time, on one thread. The classifier is divided by classes
    into parts, each of which takes a whole batch on one thread, so that a batch shares the reading
    of the weights and no thread ever waits for another in the middle of a layer.
    """

    parts: int

    def prepare(self, pixels: npt.NDArray[np.uint8]) -> Prepared:
        """Features of one image, height × width × 3; from any thread."""
        ...

    def run_part(self, part: int, batch: Prepared) -> Partial:
        """One part, numbered from 0, for the stacked features of N images; from any thread."""
        ...

    def combine(self, partials: Sequence[Partial]) -> Probabilities:
        """Probabilities from the answers of all parts, in their order."""
        ...


class WholeEngine:
    """Any engine, seen as a split one of a single part, to which an image is its pixels."""

    parts = 1

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def prepare(self, pixels: npt.NDArray[np.uint8]) -> Prepared:
        """The pixels themselves."""
        return pixels

    def run_part(self, part: int, batch: Prepared) -> Probabilities:
        """The whole model."""
        return self._engine(batch)

    def combine(self, partials: Sequence[Partial]) -> Probabilities:
        """The only part's answer."""
        (probabilities,) = partials
        return probabilities


@dataclass(frozen=True, slots=True)
class Form:
    """One way to serialise the model, and what runs it."""

    name: str
    file: str
    """Its file in the bundle."""
    precision: str
    """Of weights and arithmetic: "fp32" or "int8"."""
    adapter: str
    """The module with its `load(path, device, threads)`."""
    packages: tuple[str, ...]
    """Distributions that take part in an answer; their versions must match the manifest's."""

    @property
    def needs_torch(self) -> bool:
        """Whether torch is imported to run it (such a form can run on a GPU)."""
        return "torch" in self.packages

    def files(self, bundle: Path) -> list[Path]:
        """All files of this form in a bundle: `file`, and what lies beside it in a folder."""
        path = bundle / self.file
        return [path] if path.parent == bundle else sorted(path.parent.iterdir())
