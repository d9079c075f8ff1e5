"""What a grade sends: no two photos alike, each kind of file as it says, and truth that tells."""

import itertools
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from challenges.minimal_service.grading.measuring.photos import (
    SIZE,
    PhotoMaker,
    bad_inputs,
    format_photos,
    padded,
)
from service.preprocessing import ImageError, preprocess


@pytest.fixture(scope="module")
def maker() -> PhotoMaker:
    return PhotoMaker(5)


def test_photos_are_distinct_and_come_in_few_sizes(maker: PhotoMaker) -> None:
    photos = maker.photos(60)
    pixels = {preprocess(photo).tobytes() for photo in photos}
    assert len(pixels) == 60
    assert all(len(photo) % 16_384 == 0 for photo in photos)
    assert len({len(photo) for photo in photos}) < 8
    assert all(Image.open(BytesIO(photo)).size == SIZE for photo in photos)


def test_the_same_seed_gives_the_same_photos_and_another_series_others(maker: PhotoMaker) -> None:
    assert maker.photos(5) == PhotoMaker(5).photos(5)
    assert not set(maker.photos(5)) & set(maker.photos(5, series=2))
    assert not set(maker.photos(5)) & set(PhotoMaker(6).photos(5))


@pytest.mark.parametrize("more", [4, 5, 65_533 + 2, 65_533 + 3, 65_533 + 4, 200_000])
def test_padding_gives_the_size_asked_for_and_changes_no_pixel(
    maker: PhotoMaker, more: int
) -> None:
    photo = maker.photos(1)[0]
    larger = padded(photo, len(photo) + more)
    assert len(larger) == len(photo) + more
    assert np.array_equal(preprocess(larger), preprocess(photo))


@pytest.mark.parametrize("more", [-1, 1, 3])
def test_what_cannot_be_padded_is_said(maker: PhotoMaker, more: int) -> None:
    photo = maker.photos(1)[0]
    with pytest.raises(ValueError, match="cannot be padded"):
        padded(photo, len(photo) + more)


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


def test_the_eight_orientations_show_upright_photos() -> None:
    """Stored turned and said to be so, each looks like the same scene, not turned."""
    photos = {photo.kind: preprocess(photo.data).astype(float) for photo in format_photos(2)}
    upright = [photos[f"JPEG, EXIF orientation {number}"] for number in (1, 3, 5, 6, 7, 8)]
    for one, other in itertools.combinations(upright, 2):
        likeness = np.corrcoef(one.ravel(), other.ravel())[0, 1]
        turned = np.corrcoef(one.ravel(), np.rot90(other).ravel())[0, 1]
        assert likeness > turned


def test_everything_bad_is_refused_by_the_definition_of_preprocessing(maker: PhotoMaker) -> None:
    bad = bad_inputs(maker.photos(1)[0])
    assert len(bad) >= 8
    for data in bad.values():
        with pytest.raises(ImageError):
            preprocess(data)
