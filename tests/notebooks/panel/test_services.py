"""What the panel runs and shows: each step has its lines, each photo its size."""

import base64
import io

import pytest
from PIL import Image

from notebooks.panel.services import (
    EVERY,
    FIRST,
    PICTURE_SIDE,
    SERVICES,
    START_UP,
    photo_named,
    photos_to_send,
    samples,
    view_sources,
)
from service.artifact.sample_photos import SAMPLE_PHOTOS


@pytest.mark.parametrize("mode", [EVERY, FIRST, START_UP])
def test_each_step_of_a_flow_has_its_lines(mode: str) -> None:
    """Also after an edit of the service: a piece of code that is gone from it fails here."""
    view = view_sources()[mode]
    for step in SERVICES[mode].steps:
        if mode == START_UP or step != "stop":
            assert view["steps"][step], step


def test_photos_to_send_are_jpeg_files_of_a_phones_size() -> None:
    assert len(photos_to_send()) == len(SAMPLE_PHOTOS)
    for data in photos_to_send():
        with Image.open(io.BytesIO(data)) as image:
            assert image.format == "JPEG"
            assert max(image.size) == 640


def test_samples_carry_a_small_picture_and_a_licence() -> None:
    for sample, photo in zip(samples(), SAMPLE_PHOTOS, strict=True):
        assert (sample["name"], sample["licence"]) == (photo.name, photo.licence)
        data = base64.b64decode(sample["picture"].removeprefix("data:image/jpeg;base64,"))
        with Image.open(io.BytesIO(data)) as image:
            assert max(image.size) == PICTURE_SIDE


def test_a_sample_photo_is_found_by_its_name() -> None:
    assert photo_named(SAMPLE_PHOTOS[0].name) == SAMPLE_PHOTOS[0].read()
    with pytest.raises(KeyError, match="unicorn"):
        photo_named("unicorn")
