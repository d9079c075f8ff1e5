"""Each special photo is of the kind that it says, and each bad input is one."""

import itertools
from io import BytesIO

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from challenges.load.images import distinct_images, encoded
from challenges.minimal_service.grading.measuring.photos import bad_inputs, format_photos
from service.preprocessing import ImageError, preprocess


def test_each_kind_is_what_it_says_and_can_be_read() -> None:
    photos = {photo.kind: photo.data for photo in format_photos(1)}
    found = {}
    for kind, data in photos.items():
        assert preprocess(data).shape == (224, 224, 3)
        image = Image.open(BytesIO(data))
        found[kind] = (image.format, image.mode)
        assert image.format is not None
        assert kind.upper().startswith(image.format)
    modes = {kind: mode for kind, (_format, mode) in found.items()}
    assert modes["JPEG, grey"] == "L"
    assert modes["JPEG, CMYK"] == "CMYK"
    assert modes["PNG, RGBA"] == modes["WebP, lossless with alpha"] == "RGBA"
    assert modes["PNG, palette with transparency"] == "P"
    assert modes["PNG, 16-bit grey"].startswith("I;16")
    assert modes["PNG, 1 bit"] == "1"
    assert Image.open(BytesIO(photos["JPEG, progressive"])).info["progressive"]
    assert "transparency" in Image.open(BytesIO(photos["PNG, palette with transparency"])).info
    large = Image.open(BytesIO(photos["JPEG, 12 megapixels"]))
    assert large.width * large.height == 12_000_000
    for orientation in range(1, 9):
        stored = Image.open(BytesIO(photos[f"JPEG, EXIF orientation {orientation}"]))
        assert stored.getexif()[274] == orientation


def test_only_the_high_byte_of_the_16_bit_photo_shows_it() -> None:
    """A shift by another number of bits, or a clip at 255, gives other pixels."""
    (data,) = (photo.data for photo in format_photos(1) if photo.kind == "PNG, 16-bit grey")
    deep = np.asarray(Image.open(BytesIO(data))).astype(int)

    def likeness(values: npt.NDArray[np.int_]) -> float:
        wrong = preprocess(encoded(Image.fromarray(values.astype(np.uint8)), "PNG"))
        return float(np.corrcoef(wrong.ravel(), preprocess(data).ravel())[0, 1])

    assert likeness(deep >> 8) == pytest.approx(1)
    for wrong in (deep & 255, deep >> 4 & 255):
        assert abs(likeness(wrong)) < 0.5
    assert (deep > 255).mean() > 0.9  # clipped, nearly all of it is white


def test_the_eight_orientations_show_upright_photos() -> None:
    """Stored turned and said to be so, each looks like the same scene, not turned."""
    photos = {photo.kind: preprocess(photo.data).astype(float) for photo in format_photos(2)}
    upright = [photos[f"JPEG, EXIF orientation {number}"] for number in (1, 3, 5, 6, 7, 8)]
    for one, other in itertools.combinations(upright, 2):
        likeness = np.corrcoef(one.ravel(), other.ravel())[0, 1]
        turned = np.corrcoef(one.ravel(), np.rot90(other).ravel())[0, 1]
        assert likeness > turned


def test_every_bad_input_is_refused_by_preprocessing() -> None:
    bad = bad_inputs(distinct_images(1)[0])
    assert len(bad) >= 8
    for data in bad.values():
        with pytest.raises(ImageError):
            preprocess(data)
