"""Makes the research model as a team hands it over: a folder with weights and labels."""

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from challenges.catalogue.rows import EDITIONS, catalogue_labels, catalogue_rows
from service.errors import OperatorError
from service.settings import ROOT

CATALOGUE_MODEL = ROOT / "artifacts" / "catalogue-model"
WEIGHTS, LABELS, DIGESTS = "weights.safetensors", "labels.txt", "SHA256SUMS"
HEAD_WEIGHTS, HEAD_BIAS = "classifier.weight", "classifier.bias"


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model that is no artifact yet: a state_dict and its labels."""

    path: Path

    @property
    def weights(self) -> Path:
        """The safetensors file of the state_dict of `model_definition.EfficientNetLite0`."""
        return self.path / WEIGHTS

    @property
    def labels(self) -> Path:
        """UTF-8 text with a label per line, by class id."""
        return self.path / LABELS

    @property
    def complete(self) -> bool:
        """Whether it is whole: its digests are written last."""
        return (self.path / DIGESTS).exists()


def make_model(
    path: Path = CATALOGUE_MODEL, editions: int = EDITIONS, say: Callable[[str], None] = print
) -> ModelFolder:
    """Write the model to `path` unless it is there: 1.04 GB, the same bytes on every machine.

    Args:
        path: its folder; a complete one is left as it is.
        editions: of the classes; fewer make a smaller model of the same kind, for tests.
        say: receives the progress, a line at a time.

    Raises:
        OperatorError: the disk is full or cannot be written to.
    """
    folder = ModelFolder(path)
    if folder.complete:
        return folder
    from safetensors.torch import save_file
    from torch import from_numpy
    from torchvision.models import EfficientNet_B0_Weights

    from service.model_definition import published_lite0_weights

    state = published_lite0_weights()
    real = state[HEAD_WEIGHTS].numpy(), state[HEAD_BIAS].numpy()
    rows = np.empty((editions, *real[0].shape), np.float32)
    offsets = np.empty((editions, *real[1].shape), np.float32)
    for edition, (weights, bias) in enumerate(catalogue_rows(*real, editions)):
        rows[edition], offsets[edition] = weights, bias
        if (edition + 1) % 50 == 0:
            say(f"[model] {rows[: edition + 1].size * 4 / 1e9:.2f} GB of weights made")
    state[HEAD_WEIGHTS] = from_numpy(rows.reshape(-1, rows.shape[-1]))
    state[HEAD_BIAS] = from_numpy(offsets.reshape(-1))
    labels = catalogue_labels(EfficientNet_B0_Weights.DEFAULT.meta["categories"], editions)
    part = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        part.chmod(0o755)
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, part / WEIGHTS)
        (part / WEIGHTS).chmod(0o644)  # safetensors writes it for its owner only
        (part / LABELS).write_text("\n".join(labels) + "\n", "utf-8")
        sums = [f"{_sha256(part / name)}  {name}\n" for name in (WEIGHTS, LABELS)]
        (part / DIGESTS).write_text("".join(sums), "utf-8")
        shutil.rmtree(path, ignore_errors=True)
        part.rename(path)
    except OSError as error:
        raise OperatorError(
            f"cannot write the model {path}: {error.strerror or error}. It needs 1.1 GB of disk; "
            "make room and try again"
        ) from error
    finally:
        if part is not None:
            shutil.rmtree(part, ignore_errors=True)
    say(f"[model] {path}: {len(labels):,} classes, {folder.weights.stat().st_size / 1e9:.2f} GB")
    return folder


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
