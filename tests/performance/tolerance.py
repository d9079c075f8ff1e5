"""How far answers are from the model's, of forms and with faults: why the grader's bounds lie where
they do.

`.venv/bin/python -m tests.performance.tolerance [PHOTOS]` prints the table in the docstring of
`MOST_MEDIAN` (challenges/minimal_service/grading/measuring/oracle.py). It needs
`make grade path=reference` once, for the artifacts, then some minutes and 4 GB of memory.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from challenges.catalogue.model import CATALOGUE_MODEL
from challenges.load.images import distinct_images
from challenges.minimal_service.grading.measuring.oracle import (
    FIRST,
    Answer,
    Comparison,
    Truth,
    compare,
)
from service.engines import FORMS, SCREENED, load_engine
from service.engines.base import Engine, Probabilities
from service.preprocessing import Pixels, PreprocessingSettings, preprocess
from service.settings import ROOT

PHOTOS, TOGETHER = 400, 20
REAL_CLASSES = 1000
SIDE, CROP = PreprocessingSettings().resize, PreprocessingSettings().crop
IMAGENET = 255 * np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], np.float32)
"""Mean and deviation that most published weights want, in units of a pixel; Lite0 does not."""


def nearest(photo: bytes) -> Pixels:
    """The nearest pixel instead of a filter."""
    image = Image.open(BytesIO(photo))
    width, height = (round(SIDE * side / min(image.size)) for side in image.size)
    left, top = (width - CROP) // 2, (height - CROP) // 2
    resized = image.resize((width, height), Image.Resampling.NEAREST)
    return np.asarray(resized.crop((left, top, left + CROP, top + CROP)))


def squeezed(photo: bytes) -> Pixels:
    """The whole photo, in a square."""
    return np.asarray(Image.open(BytesIO(photo)).resize((CROP, CROP), Image.Resampling.BICUBIC))


PREPROCESSINGS: dict[str, Callable[[bytes], Pixels]] = {
    "bilinear instead of bicubic, both antialiased": lambda photo: preprocess(
        photo, PreprocessingSettings(interpolation="bilinear")
    ),
    "nearest pixel instead of bicubic": nearest,
    "resized to 224 instead of 256, then cropped": lambda photo: preprocess(
        photo, PreprocessingSettings(resize=CROP)
    ),
    "squeezed into a square": squeezed,
}


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=int, nargs="?", default=PHOTOS, metavar="PHOTOS")
    photos = distinct_images(parser.parse_args().photos)
    truth = Truth(CATALOGUE_MODEL)
    found: dict[str, Comparison] = {}
    for start in range(0, len(photos), TOGETHER):
        for name, comparison in compared(photos[start : start + TOGETHER], truth):
            found.setdefault(name, Comparison()).add(comparison)
        done = min(start + TOGETHER, len(photos))
        print(f"[{done}/{len(photos)}] photos", file=sys.stderr, flush=True)
    print("| answers of | median | p95 |\n|---|---|---|")
    for name, comparison in found.items():
        print(f"| {name} | {comparison.quantile(0.5):.3f} | {comparison.quantile(0.95):.3f} |")


def compared(photos: list[bytes], truth: Truth) -> Iterator[tuple[str, Comparison]]:
    """Answers of each kind, beside the right ones."""
    pixels = np.stack([preprocess(photo) for photo in photos])
    right = truth.probabilities(pixels)
    default = form("default", "eager")(pixels)
    yield "the default bundle's int8 form", beside(default, form("default", "onnx-int8")(pixels))
    yield "the reference's screened int8 form", beside(right, form("catalogue", SCREENED)(pixels))
    for name, other in PREPROCESSINGS.items():
        others: npt.NDArray[Any] = np.stack([other(photo) for photo in photos])
        yield name, beside(right, truth.probabilities(others))
    yield "red and blue swapped", beside(right, truth.probabilities(pixels[..., ::-1].copy()))
    mean, deviation = IMAGENET
    others = (pixels - mean) / deviation * 128 + 127  # of which the model takes 127 and 128 again
    yield "ImageNet's mean and deviation", beside(right, truth.probabilities(others))
    real = right[:, :REAL_CLASSES]
    real = real / real.sum(axis=1, keepdims=True)
    yield "the first 1,000 classes of 200,000 alone", beside(right, real)


@cache
def form(bundle: str, name: str) -> Engine:
    """A form of one of the workshop's artifacts."""
    path = ROOT / "artifacts" / bundle / FORMS[name].file
    return load_engine(FORMS[name], path, "cpu", threads=1)


def beside(right: Probabilities, found: Probabilities) -> Comparison:
    """Compare the first classes of two photos × classes, as the grader does."""
    answers = []
    for row in found:
        best = np.argsort(-row)[:FIRST]
        answers.append(Answer(tuple(best.tolist()), tuple(row[best].tolist())))
    return compare(right, answers)


if __name__ == "__main__":
    main()
