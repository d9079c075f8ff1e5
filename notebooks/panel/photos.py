"""The sample photos: whole ones to send, small ones to show."""

import base64
import functools
import io

from PIL import Image, ImageOps

from service.artifact.sample_photos import SAMPLE_PHOTOS

SIDE = 128
"""Pixels of a picture that is shown."""


@functools.cache
def samples() -> list[dict[str, str]]:
    """Name, credit, licence and a small picture (a data URL) of each sample photo."""
    return [
        {
            "name": photo.name,
            "credit": photo.credit,
            "licence": photo.licence,
            "picture": _small(photo.read()),
        }
        for photo in SAMPLE_PHOTOS
    ]


def photo_named(name: str) -> bytes:
    """The file of a sample photo.

    Raises:
        KeyError: there is none of that name.
    """
    for photo in SAMPLE_PHOTOS:
        if photo.name == name:
            return photo.read()
    raise KeyError(name)


@functools.cache
def photos_to_send() -> tuple[bytes, ...]:
    """The files of all sample photos, as JPEGs of the size that telephones share them in.

    Some are large PNG files, whose decoding would take longer than all the rest.
    """
    return tuple(_jpeg(photo.read(), 640, 90) for photo in SAMPLE_PHOTOS)


def _small(data: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(_jpeg(data, SIDE, 70)).decode()


def _jpeg(data: bytes, side: int, quality: int) -> bytes:
    with Image.open(io.BytesIO(data)) as image:
        small = ImageOps.contain(image.convert("RGB"), (side, side))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=quality)
    return file.getvalue()
