"""Makes a small model of the same kind as the challenge's, for faults that show at any size."""

import hashlib
import math
from pathlib import Path

from challenges.catalogue.model import (
    DIGESTS,
    HEAD_BIAS,
    LABELS,
    WEIGHTS,
    ModelFolder,
    make_model,
)
from challenges.catalogue.rows import EDITIONS

SMALL_EDITIONS = 10


def make_small_model(path: Path, editions: int = SMALL_EDITIONS) -> ModelFolder:
    """Write a model of fewer variants, which together are as probable as all in the large model.

    So a service that leaves the variants out answers as wrongly as with the large model.

    Args:
        path: its folder, which is created.
        editions: of the 1,000 real classes, at least 2.
    """
    from safetensors.torch import load_file, save_file

    folder = make_model(path, editions=editions, say=lambda _: None)
    state = load_file(folder.weights)
    real = len(state[HEAD_BIAS]) // editions
    state[HEAD_BIAS][real:] += math.log((EDITIONS - 1) / (editions - 1))
    save_file(state, folder.weights)
    sums = [
        f"{hashlib.sha256((path / name).read_bytes()).hexdigest()}  {name}\n"
        for name in (WEIGHTS, LABELS)
    ]
    (path / DIGESTS).write_text("".join(sums), "utf-8")
    return folder
