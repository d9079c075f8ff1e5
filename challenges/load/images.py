"""Distinct photos to send: seeded cuts of the sample photos, as JPEG files."""

from io import BytesIO

import numpy as np
from PIL import Image

from service.artifact.sample_photos import SAMPLE_PHOTOS

QUALITY = 90


def distinct_images(count: int, size: tuple[int, int] = (500, 375), seed: int = 0) -> list[bytes]:
    """`count` JPEG files, no two alike, of `size` (width, height) in pixels.

    Each is a random cut of one of the sample photos, 70 to 100 % of its width and height, resized.
    """
    random = np.random.default_rng(seed)
    photos = [Image.open(BytesIO(photo.read())).convert("RGB") for photo in SAMPLE_PHOTOS]
    files = []
    for number in range(count):
        photo = photos[number % len(photos)]
        scale = random.uniform(0.7, 1)
        width, height = (side * scale for side in photo.size)
        left = random.uniform(0, photo.width - width)
        top = random.uniform(0, photo.height - height)
        file = BytesIO()
        box = (left, top, left + width, top + height)
        photo.resize(size, Image.Resampling.BICUBIC, box).save(file, "JPEG", quality=QUALITY)
        files.append(file.getvalue())
    return files
