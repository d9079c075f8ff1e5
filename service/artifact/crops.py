"""Random crops of real pictures: what quantisation is calibrated on and parity is measured over."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from service.preprocessing import Pixels, PreprocessingSettings, preprocess

SMALLEST_SHARE = 0.08
"""Of a picture's area, as in the random crops of ImageNet training (Szegedy et al., 2014)."""


def random_crops(
    pictures: Sequence[Path], count: int, seed: int, settings: PreprocessingSettings
) -> Pixels:
    """Cut `count` random rectangles, in turn from each picture, half of them mirrored.

    Each crop becomes a JPEG and goes through `preprocess`, as a request's image does.

    Returns:
        uint8, count × crop × crop × 3; the same for the same arguments.
    """
    random = np.random.default_rng(seed)
    images = []
    for path in pictures:
        with Image.open(path) as image:
            images.append(image.convert("RGB"))
    return np.stack(
        [
            preprocess(_random_crop(images[number % len(images)], random), settings)
            for number in range(count)
        ]
    )


def _random_crop(image: Image.Image, random: np.random.Generator) -> bytes:
    area = image.width * image.height * random.uniform(SMALLEST_SHARE, 1)
    aspect = np.exp(random.uniform(np.log(3 / 4), np.log(4 / 3)))
    width = min(image.width, round(np.sqrt(area * aspect)))
    height = min(image.height, round(np.sqrt(area / aspect)))
    left = int(random.integers(image.width - width + 1))
    top = int(random.integers(image.height - height + 1))
    crop = image.crop((left, top, left + width, top + height))
    if random.random() < 0.5:
        crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    file = BytesIO()
    crop.save(file, "JPEG", quality=95)
    return file.getvalue()
