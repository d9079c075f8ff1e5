"""Distinct photos to send: seeded cuts of real pictures, as JPEG files."""

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
from PIL import Image

from service.artifact.sample_photos import OTHER_PICTURES, SAMPLE_PHOTOS, SamplePhoto
from service.machine import available_cores

SIZE = (500, 375)
"""Default width and height in pixels."""
_LARGEST_ZOOM = 1.4
_ZOOMS = 4
"""Sizes of each picture that photos are cut from, as resizing takes longer than cutting."""
_RECOGNISED = 0.8
"""Share of the photos cut from pictures that the model recognises. The answers to the others are
in no table of known photos."""


def distinct_images(count: int, size: tuple[int, int] = SIZE, seed: int = 0) -> list[bytes]:
    """Return `count` JPEG files, no two alike, of `size` (width, height) in pixels."""
    return PhotoMaker(seed, size).photos(count)


class PhotoMaker:
    """Makes JPEG photos from a seed: cuts of real pictures, mirrored or not, in changing light."""

    def __init__(self, seed: int, size: tuple[int, int] = SIZE) -> None:
        random = np.random.default_rng([seed, 0])
        self._seed, self._size = seed, size
        self._pictures = [*SAMPLE_PHOTOS, *OTHER_PICTURES]
        self._zooms = np.sort(random.uniform(1, _LARGEST_ZOOM, (len(self._pictures), _ZOOMS)))
        self._zoomed: dict[tuple[int, int], Image.Image] = {}

    def photos(self, count: int, series: int = 1) -> list[bytes]:
        """Return `count` JPEG files, no two alike; another `series` gives others."""
        with ThreadPoolExecutor(available_cores()) as pool:
            return list(pool.map(lambda number: self._photo(series, number), range(count)))

    def _photo(self, series: int, number: int) -> bytes:
        random = np.random.default_rng([self._seed, series, number])
        known, (width, height) = len(SAMPLE_PHOTOS), self._size
        first, last = (0, known) if random.random() < _RECOGNISED else (known, len(self._pictures))
        picture = self._resized(int(random.integers(first, last)), int(random.integers(_ZOOMS)))
        left = int(random.integers(picture.width - width + 1))
        top = int(random.integers(picture.height - height + 1))
        cut = picture.crop((left, top, left + width, top + height))
        if random.random() < 0.5:
            cut = cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        gains = random.uniform(0.88, 1.08) * random.uniform(0.97, 1.03, 3)
        table = np.clip(np.outer(gains, np.arange(256)) + 0.5, 0, 255).astype(np.uint8)
        return encoded(cut.point(table.ravel().tolist()), quality=int(random.integers(82, 93)))

    def _resized(self, number: int, zoom: int) -> Image.Image:
        """Return a picture at one of its zooms, 1 being what just covers the size."""
        if (number, zoom) not in self._zoomed:  # two threads may both make it; the last one stays
            picture = rgb(self._pictures[number])
            width, height = self._size
            scale = self._zooms[number][zoom] * max(width / picture.width, height / picture.height)
            # Rounding up: a picture must not be a pixel smaller than what is cut from it.
            size = (int(np.ceil(picture.width * scale)), int(np.ceil(picture.height * scale)))
            self._zoomed[number, zoom] = picture.resize(size, Image.Resampling.BICUBIC)
        return self._zoomed[number, zoom]


def rgb(photo: SamplePhoto) -> Image.Image:
    """Return a sample photo's pixels."""
    with Image.open(photo.path) as file:
        return file.convert("RGB")


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    """Return `image` as a file of `kind`."""
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()
