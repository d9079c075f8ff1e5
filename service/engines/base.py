"""What every engine looks like from outside."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

PixelBatch = npt.NDArray[np.uint8]
"""uint8, N × height × width × 3 (RGB)."""
Probabilities = npt.NDArray[np.float32]
"""float32, N × classes; each row sums to 1."""


class Engine(Protocol):
    """A loaded model. Called by as many threads at once as the layout has lanes."""

    runtime: str
    """Which library runs it, with its version: "ONNX Runtime 1.31.1"."""
    device: str
    """Where it runs: "cpu" or "cuda"."""

    def __call__(self, pixels: PixelBatch) -> Probabilities:
        """Classify a batch of any size from 1."""
        ...


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
