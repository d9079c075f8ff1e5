"""The interface of every engine, and the two array steps on either side of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

PixelBatch = npt.NDArray[np.uint8]
"""uint8, N × height × width × 3 (RGB)."""
Probabilities = npt.NDArray[np.float32]
"""float32, N × classes; each row sums to 1."""
Image = Any
"""One image as its plan prepares it: pixels, uint8 height × width × 3, unless the device decodes
the file itself (`service.gpu.jpeg.JpegFile`)."""
Images = Sequence[Image] | PixelBatch


class File(Protocol):
    """A file that an engine loads: a `Path`, or a file of a verified bundle (`BundleFile`).

    An engine takes the bytes from here, and opens nothing by its path: `BundleFile` hashes the very
    bytes that it returns, so that what is loaded is what was validated.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def parent(self) -> Self: ...  # noqa: D102
    def __truediv__(self, name: str, /) -> Self: ...
    def is_file(self) -> bool: ...  # noqa: D102
    def read_bytes(self) -> bytes: ...  # noqa: D102


class Engine(Protocol):
    """A loaded model. Called by as many threads at once as the layout has lanes."""

    runtime: str
    """The library that runs it, with its version: "ONNX Runtime 1.31.1"."""
    device: str
    """Where it runs: "cpu" or "cuda"."""

    def __call__(self, images: Images) -> Probabilities:
        """Classify one or more images; float32 N × classes."""
        ...


@dataclass(frozen=True, slots=True)
class Form:
    """One way to serialise the model, and what runs it."""

    name: str
    file: str
    """Its file in the bundle."""
    precision: str
    """Number format of weights and arithmetic: "fp32", "bf16" or "int8"."""
    adapter: str
    """The module with its `load(file, device, threads)`."""
    packages: tuple[str, ...]
    """Distributions that take part in an answer; their versions must match the manifest's."""
    runs_model_definition: bool = False
    """Whether its adapter imports model_definition.py; the others hold the network as a graph."""
    planner: str = "service.runner.plan"
    """The module with its `make_plan`, which divides the machine or the device."""

    @property
    def needs_torch(self) -> bool:
        """Whether torch is imported to run it (such a form can run on a GPU)."""
        return "torch" in self.packages

    def files(self, bundle: Path) -> list[Path]:
        """All files of this form in a bundle: `file`, and what lies beside it in a folder."""
        path = bundle / self.file
        return [path] if path.parent == bundle else sorted(path.parent.iterdir())


def stack(images: Images) -> PixelBatch:
    """Lay images of one size side by side; one image alone, or a batch, is not copied."""
    if isinstance(images, np.ndarray):
        return images
    return images[0][np.newaxis] if len(images) == 1 else np.stack(images)


_BLOCK = 512


def top_k(values: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.intp]:
    """Find the positions of the `k` largest of at least `k` values, in no order.

    Far cheaper than sorting very many values: the maxima of blocks are compared first, because the
    k largest values lie in the blocks with the k largest maxima. Of 200,000 values and k = 5,
    197,000 are never looked at again.
    """
    blocks = len(values) // _BLOCK
    if blocks <= k:
        return np.argpartition(-values, k - 1)[:k]
    whole = values[: blocks * _BLOCK].reshape(blocks, _BLOCK)
    chosen = np.argpartition(-whole.max(axis=1), k - 1)[:k]
    places = (chosen[:, np.newaxis] * _BLOCK + np.arange(_BLOCK)).ravel()
    places = np.concatenate([places, np.arange(blocks * _BLOCK, len(values))])
    return places[np.argpartition(-values[places], k - 1)[:k]]
