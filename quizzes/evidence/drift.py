"""Confidences of the first class: how they move when the photos change, and when to raise alarm."""

from collections.abc import Callable, Sequence
from functools import cache
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance, ImageFilter

from challenges.load.images import distinct_images, encoded
from challenges.releases.bundles import IMAGENET_MEAN, IMAGENET_STD
from learner.artifact import bundle
from learner.language import _
from quizzes.evidence import Evidence
from quizzes.evidence.preprocessing_skew import engine, with_normalisation
from service.artifact.parity import probabilities_of
from service.engines.base import Engine
from service.preprocessing import Pixels, PreprocessingSettings, preprocess

Confidences = npt.NDArray[np.float64]
"""Probability of the first class, one a photo, 0–1."""
PHOTOS, SEED = 120, 11
SIZES = (50, 200, 800, 3200)
"""Answers in a window."""
DRAWS = 200
"""Windows that are drawn of each size."""
LIMIT = 4.0
"""Standard errors of a window's mean at which the alert fires."""


def _keep(image: Image.Image) -> Image.Image:
    return image


def _darken(image: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(0.25)


def _blur(image: Image.Image) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(4))


SHIFTS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "as validated": _keep,
    "darkened": _darken,
    "blurred": _blur,
}
"""What may happen to photos on their way, by name."""
SKEW = "other normalisation"


@cache
def confidences() -> dict[str, Confidences]:
    """Return the confidences of the same photos under each shift, and after ImageNet's values."""
    found = {name: _answers(engine(), shift) for name, shift in SHIFTS.items()}
    found[SKEW] = _answers(with_normalisation(IMAGENET_MEAN, IMAGENET_STD), _keep)
    return found


def pictures(number: int) -> list[Pixels]:
    """Return one of the photos under each shift: uint8, height × width × 3 (RGB)."""
    photo = Image.open(BytesIO(distinct_images(number + 1, seed=SEED)[number])).convert("RGB")
    return [np.asarray(shift(photo)) for shift in SHIFTS.values()]


def _answers(model: Engine, shift: Callable[[Image.Image], Image.Image]) -> Confidences:
    pixels = np.stack([preprocess(photo, _settings()) for photo in _shifted(shift)])
    found: Confidences = probabilities_of(model, pixels).max(axis=1).astype(np.float64)
    return found


def _settings() -> PreprocessingSettings:
    return bundle().manifest.preprocessing


def _shifted(shift: Callable[[Image.Image], Image.Image]) -> Sequence[bytes]:
    photos = distinct_images(PHOTOS, seed=SEED)
    if shift is _keep:
        return photos
    return [encoded(shift(Image.open(BytesIO(photo)).convert("RGB"))) for photo in photos]


def fires(validated: Confidences, window: Confidences, limit: float = LIMIT) -> bool:
    """Return whether a window's mean lies too far from the validated one, in standard errors."""
    error = validated.std() / np.sqrt(len(window))
    return bool(abs(window.mean() - validated.mean()) > limit * error)


def share_that_fires(
    validated: Confidences, traffic: Confidences, size: int, limit: float = LIMIT
) -> float:
    """Return the share of windows, 0–1, on which the alert fires.

    Args:
        validated: what the model's confidences were when it was released.
        traffic: windows are drawn from these, with replacement.
        size: answers in a window.
        limit: in standard errors.
    """
    random = np.random.default_rng(size)
    windows = random.choice(traffic, (DRAWS, size))
    return float(np.mean([fires(validated, window, limit) for window in windows]))


def shifted_confidence() -> Evidence:
    """Compare the mean confidence of the same photos, as validated and shifted."""
    means = {name: float(found.mean()) for name, found in confidences().items()}
    validated = means["as validated"]
    assert means["blurred"] < validated, "blurred photos are less sure"
    assert means[SKEW] < validated, "so are photos that are normalised otherwise"
    return Evidence(
        shows=_(
            "No answer was an error. The mean probability of the first class was {validated:.2f} "
            "as validated, {dark:.2f} on darkened photos, {blurred:.2f} on blurred ones, and "
            "{skew:.2f} with ImageNet's normalisation."
        ).format(
            validated=validated, dark=means["darkened"], blurred=means["blurred"], skew=means[SKEW]
        ),
        values={
            _("as validated"): validated,
            _("darkened"): means["darkened"],
            _("blurred"): means["blurred"],
            _("ImageNet's normalisation"): means[SKEW],
        },
        varies=_("what happens to the photos on their way to the network; all else is the same."),
    )


def windows_of_an_alert() -> Evidence:
    """Draw windows of clean and of skewed answers; count on how many the alert fires."""
    found = confidences()
    clean, skewed = found["as validated"], found[SKEW]
    small, large = SIZES[0], SIZES[-1]
    false = share_that_fires(clean, clean, large)
    missed = 1 - share_that_fires(clean, skewed, small)
    seen = share_that_fires(clean, skewed, large)
    strict = share_that_fires(clean, clean, large, limit=1)
    assert false <= 0.02, "clean windows are silent"
    assert seen > 0.9, "a large window shows the skew"
    assert missed > 0.5, "a small one does not"
    assert strict > 0.1, "a limit of one standard error fires on clean windows"
    return Evidence(
        shows=_(
            "With a limit of 4 standard errors the alert saw the skew in {seen:.0%} of the windows "
            "of {large:,} answers, and missed it in {missed:.0%} of those of {small}. It fired on "
            "{false:.0%} of the clean windows; with a limit of 1 on {strict:.0%}."
        ).format(seen=seen, large=large, missed=missed, small=small, false=false, strict=strict),
        values={
            _("skew seen, large windows"): seen * 100,
            _("skew seen, small windows"): (1 - missed) * 100,
            _("false alarms, limit 4"): false * 100,
            _("false alarms, limit 1"): strict * 100,
        },
        unit="%",
        varies=_("the answers in a window; alert, photos and weights are the same."),
    )
