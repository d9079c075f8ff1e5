"""Bundles that differ from the default one in one thing, made within a second: for releases."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from learner.artifact import bundle
from service.artifact.manifest import (
    CODE_FOLDER,
    GOLDEN_FOLDER,
    MANIFEST,
    MANIFEST_DIGEST,
    File,
    Manifest,
    digest_line,
)
from service.artifact.parity import probabilities_of
from service.artifact.verify import sha256
from service.engines import FORMS, load_engine
from service.engines.base import Engine, Probabilities
from service.machine import available_cores
from service.preprocessing import preprocess

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""For pixels from 0 to 1. Most torchvision models were trained with them, the default weights not:
a bundle with them raises no error, and answers differently."""
_GOLDEN_CLASSES = 5


@dataclass(frozen=True, slots=True)
class Change:
    """What a bundle has that the default one has not."""

    version: str
    form: str = "onnx-fp32"
    """The form that is served: a key of `FORMS`, one that needs no torch."""
    skewed: bool = False
    """Normalise with ImageNet's mean and deviation. The golden answers are recorded anew, as a
    build does that checks a model only against itself; so the start finds nothing wrong."""
    packages: tuple[tuple[str, str], ...] = ()
    """Package versions that the manifest names instead of those of the build."""


def make_bundle(folder: Path, change: Change) -> Path:
    """Write a bundle that `service.artifact.verify` accepts; return its folder.

    Args:
        folder: where to; it must not exist.
        change: how it differs from the default bundle.

    Raises:
        LearnerError: the default bundle is not built yet.
    """
    whole = bundle()
    record = whole.manifest.forms[change.form]
    for part in (CODE_FOLDER, GOLDEN_FOLDER):
        shutil.copytree(whole.path / part, folder / part)
    shutil.copyfile(whole.path / record.file, folder / record.file)
    manifest = whole.manifest
    if change.skewed:
        renormalise(folder / record.file, IMAGENET_MEAN, IMAGENET_STD)
        engine = load_engine(FORMS[change.form], folder / record.file, "cpu", available_cores())
        golden = {photo: _best(engine, manifest, folder / photo) for photo in record.golden}
        record = record.model_copy(update={"golden": golden})
    packages = {**manifest.environment.packages, **dict(change.packages)}
    changed = manifest.model_copy(
        update={
            "version": change.version,
            "default_form": change.form,
            "forms": {change.form: record},
            "files": _record_files(folder),
            "environment": manifest.environment.model_copy(update={"packages": packages}),
        }
    )
    (folder / MANIFEST).write_text(json.dumps(changed.model_dump(mode="json"), ensure_ascii=False))
    (folder / MANIFEST_DIGEST).write_bytes(digest_line(sha256(folder / MANIFEST)))
    return folder


def renormalise(path: Path, mean: npt.ArrayLike, std: npt.ArrayLike) -> None:
    """Change the normalisation in an ONNX file of the default network. The weights stay.

    Args:
        path: of the form onnx-fp32.
        mean: per channel, of pixels from 0 to 1.
        std: likewise.
    """
    import onnx  # here, because it is slow to import

    model = onnx.load(path)
    constants: dict[str, npt.NDArray[np.floating[Any]]] = {
        "mean": np.asarray(mean, np.float32) * 255,
        "scale": 1 / (np.asarray(std, np.float32) * 255),
    }
    replaced = 0
    for tensor in model.graph.initializer:
        if tensor.name in constants:
            values = constants[tensor.name].astype(np.float32).reshape(1, 3, 1, 1)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
            replaced += 1
    assert replaced == len(constants), "the graph contains the mean and the scale once each"
    onnx.save(model, path)


def answers_of(path: Path, manifest: Manifest, photos: Sequence[bytes]) -> Probabilities:
    """Return a bundle's answers to photos, without a service: float32, photos × classes.

    Args:
        path: a verified bundle's folder.
        manifest: its manifest.
        photos: image files.
    """
    form = manifest.default_form
    engine = load_engine(FORMS[form], path / manifest.forms[form].file, "cpu", available_cores())
    pixels = np.stack([preprocess(photo, manifest.preprocessing) for photo in photos])
    return probabilities_of(engine, pixels)


def _best(engine: Engine, manifest: Manifest, photo: Path) -> dict[int, float]:
    (probabilities,) = engine([preprocess(photo.read_bytes(), manifest.preprocessing)])
    best = (-probabilities).argsort(kind="stable")[:_GOLDEN_CLASSES]
    return {int(class_id): float(probabilities[class_id]) for class_id in best}


def _record_files(folder: Path) -> dict[str, File]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): File(sha256=sha256(path), bytes=path.stat().st_size)
        for path in paths
    }
