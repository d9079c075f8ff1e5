"""Photos are distinct, of the size asked for, and the same again for the same seed."""

from io import BytesIO

import pytest
from PIL import Image

from challenges.load.images import SIZE, PhotoMaker, distinct_images
from service.preprocessing import preprocess


def test_photos_are_distinct_and_of_the_size_asked_for() -> None:
    photos = distinct_images(60)
    assert len({preprocess(photo).tobytes() for photo in photos}) == 60
    assert {Image.open(BytesIO(photo)).size for photo in photos} == {SIZE}


@pytest.mark.parametrize("size", [(320, 240), (240, 320), (1500, 400), (1411, 1411)])
def test_any_size_can_be_made(size: tuple[int, int]) -> None:
    assert {Image.open(BytesIO(one)).size for one in distinct_images(9, size)} == {size}


def test_a_seed_gives_the_same_photos_and_a_series_others() -> None:
    maker = PhotoMaker(5)
    assert maker.photos(5) == PhotoMaker(5).photos(5) == distinct_images(5, seed=5)
    assert not set(maker.photos(5)) & set(maker.photos(5, series=2))
    assert not set(maker.photos(5)) & set(PhotoMaker(6).photos(5))
