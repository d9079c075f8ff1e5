"""Random crops of real pictures: what quantisation is calibrated on and parity is measured over."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from service.engines.base import PixelBatch
from service.preprocessing import MIN_SIDE, PreprocessingSettings, preprocess

SMALLEST_SHARE = 0.08
"""Of a picture's area, as in the random crops of ImageNet training (Szegedy et al., 2014)."""


def random_crops(
    pictures: Sequence[Path], count: int, seed: int, settings: PreprocessingSettings
) -> PixelBatch:
    """Cut `count` random rectangles, in turn from each picture, half of them mirrored.

    Each crop becomes a JPEG and goes through `preprocess`, as a request's image does.

    Returns:
        uint8, count × crop × crop × 3; the same for the same arguments.
    """
    crops = np.empty((count, settings.crop, settings.crop, 3), np.uint8)
    for first, path in enumerate(pictures[:count]):
        with Image.open(path) as file:  # one at a time: a folder of photos may not fit in memory
            image = ImageOps.exif_transpose(file).convert("RGB")
        for number in range(first, count, len(pictures)):
            random = np.random.default_rng([seed, number])
            crops[number] = preprocess(_random_crop(image, random), settings)
    return crops


def _random_crop(image: Image.Image, random: np.random.Generator) -> bytes:
    area = image.width * image.height * random.uniform(SMALLEST_SHARE, 1)
    aspect = np.exp(random.uniform(np.log(3 / 4), np.log(4 / 3)))
    width = min(image.width, max(MIN_SIDE, round(np.sqrt(area * aspect))))
    height = min(image.height, max(MIN_SIDE, round(np.sqrt(area / aspect))))
    left = int(random.integers(image.width - width + 1))
    top = int(random.integers(image.height - height + 1))
    crop = image.crop((left, top, left + width, top + height))
    if random.random() < 0.5:
        crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    file = BytesIO()
    crop.save(file, "JPEG", quality=95)
    return file.getvalue()
