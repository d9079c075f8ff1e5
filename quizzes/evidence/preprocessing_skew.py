"""The same weights behind other preprocessing: no error, other answers."""

import functools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from learner.artifact import bundle
from learner.language import _
from quizzes.evidence.base import Evidence
from service.artifact.parity import probabilities_of, random_crops
from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.engines import FORMS, load_engine
from service.engines.base import Engine, PixelBatch, Probabilities
from service.machine import available_cores
from service.preprocessing import PreprocessingSettings

CUTS, SEED = 70, 0
"""The first of the crops that a build measures parity with."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of pixels from 0 to 1: most models of torchvision were trained with them, these weights not."""


@functools.cache
def cuts(settings: PreprocessingSettings | None = None) -> PixelBatch:
    """Seeded random cuts of the labelled photos, in turn from each, through `preprocess`.

    Args:
        settings: of preprocessing; those of the bundle if not given.

    Returns:
        uint8, `CUTS` × 224 × 224 × 3; cut i is of photo i modulo 7.
    """
    photos = [photo.path for photo in SAMPLE_PHOTOS]
    return random_crops(photos, CUTS, SEED, settings or bundle().manifest.preprocessing)


@functools.cache
def engine(form: str = "onnx-fp32") -> Engine:
    """The bundle's model in one form, loaded once."""
    whole = bundle()
    path = whole.path / whole.manifest.forms[form].file
    return load_engine(FORMS[form], path, "cpu", available_cores())


def with_normalisation(mean: npt.ArrayLike, std: npt.ArrayLike) -> Engine:
    """The bundle's ONNX model with another normalisation in its graph; the weights are the same.

    Args:
        mean: per channel, of pixels from 0 to 1.
        std: likewise.
    """
    import onnx  # only here: a lesson's other cells need not wait for it

    graph = onnx.load(bundle().path / FORMS["onnx-fp32"].file)
    constants: dict[str, npt.NDArray[np.floating[Any]]] = {
        "mean": np.asarray(mean, np.float32) * 255,
        "scale": 1 / (np.asarray(std, np.float32) * 255),
    }
    replaced = 0
    for tensor in graph.graph.initializer:
        if tensor.name in constants:
            values = constants[tensor.name].astype(np.float32).reshape(1, 3, 1, 1)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
            replaced += 1
    assert replaced == len(constants), "the graph holds the mean and the scale once each"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(graph, path)
        return load_engine(FORMS["onnx-fp32"], path, "cpu", available_cores())


def right_share(probabilities: Probabilities) -> float:
    """Share of cuts, 0–1, whose first class is one of the right labels of its photo."""
    labels = bundle().manifest.labels
    right = [
        labels[best] in SAMPLE_PHOTOS[number % len(SAMPLE_PHOTOS)].labels
        for number, best in enumerate(probabilities.argmax(axis=1))
    ]
    return float(np.mean(right))


def changed_share(validated: Probabilities, other: Probabilities) -> float:
    """Share of cuts, 0–1, whose first class is another than the validated one."""
    return float(np.mean(validated.argmax(axis=1) != other.argmax(axis=1)))


def run() -> Evidence:
    """Classify the cuts with the right and with ImageNet's normalisation."""
    pixels = cuts()
    validated = probabilities_of(engine(), pixels)
    other = probabilities_of(with_normalisation(IMAGENET_MEAN, IMAGENET_STD), pixels)
    right, still_right = right_share(validated), right_share(other)
    assert np.isfinite(other).all(), "the answers look like any others"
    assert np.allclose(other.sum(axis=1), 1, atol=1e-3), "the answers look like any others"
    assert still_right < right - 0.05, "fewer cuts are recognised"
    return Evidence(
        shows=_(
            "No error was raised, and all probabilities still sum to 1. As validated, {right:.0%} "
            "of {count} cuts were recognised; with ImageNet's mean and deviation {other:.0%}."
        ).format(right=right, other=still_right, count=len(pixels)),
        values={
            _("as validated"): right * 100,
            _("with ImageNet's mean and deviation"): still_right * 100,
        },
        unit="%",
    )
