"""The same weights after other preprocessing: no error, other answers."""

import functools
import shutil
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from challenges.releases.bundles import IMAGENET_MEAN, IMAGENET_STD, renormalise
from learner.artifact import bundle
from learner.language import _
from quizzes.evidence import Evidence
from service.artifact.parity import probabilities_of, random_crops
from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.engines import FORMS, load_engine
from service.engines.base import Engine, PixelBatch, Probabilities
from service.machine import available_cores
from service.preprocessing import PreprocessingSettings

CUTS, SEED = 70, 0
"""The first 70 of the crops with which a build measures parity."""


@functools.cache
def cuts(settings: PreprocessingSettings | None = None) -> PixelBatch:
    """Return seeded random crops of the labelled photos, preprocessed.

    Args:
        settings: preprocessing settings; those of the bundle if not given.

    Returns:
        uint8, `CUTS` × 224 × 224 × 3; crop i belongs to photo i modulo 7.
    """
    photos = [photo.path for photo in SAMPLE_PHOTOS]
    return random_crops(photos, CUTS, SEED, settings or bundle().manifest.preprocessing)


@functools.cache
def engine(form: str = "onnx-fp32") -> Engine:
    """Return the bundle's model in one form, loaded once."""
    whole = bundle()
    path = whole.path / whole.manifest.forms[form].file
    return load_engine(FORMS[form], path, "cpu", available_cores())


def with_normalisation(mean: npt.ArrayLike, std: npt.ArrayLike) -> Engine:
    """Return the bundle's ONNX model with another normalisation in its graph, and the same weights.

    Args:
        mean: per channel, of pixels from 0 to 1.
        std: likewise.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        shutil.copyfile(bundle().path / FORMS["onnx-fp32"].file, path)
        renormalise(path, mean, std)
        return load_engine(FORMS["onnx-fp32"], path, "cpu", available_cores())


def right_share(probabilities: Probabilities) -> float:
    """Return the share of crops, 0–1, whose first class is a right label of its photo."""
    labels = bundle().manifest.labels
    right = [
        labels[best] in SAMPLE_PHOTOS[number % len(SAMPLE_PHOTOS)].labels
        for number, best in enumerate(probabilities.argmax(axis=1))
    ]
    return float(np.mean(right))


def changed_share(validated: Probabilities, other: Probabilities) -> float:
    """Return the share of crops, 0–1, whose first class differs from the validated one."""
    return float(np.mean(validated.argmax(axis=1) != other.argmax(axis=1)))


def run() -> Evidence:
    """Classify the crops with the right normalisation and with that of ImageNet."""
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
            "of {count} cuts of 7 photos were recognised; with ImageNet's mean and deviation "
            "{other:.0%}. On {changed:.0%} the first class changed."
        ).format(
            right=right,
            other=still_right,
            count=len(pixels),
            changed=changed_share(validated, other),
        ),
        values={
            _("as validated"): right * 100,
            _("with ImageNet's mean and deviation"): still_right * 100,
        },
        unit="%",
        varies=_("the normalisation; weights and pictures are the same."),
    )
