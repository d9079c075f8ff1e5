"""The sample photos are there, each with its licence."""

import pytest

from service.artifact.sample_photos import OTHER_PICTURES, SAMPLE_PHOTOS


def test_sample_photos_are_there_with_their_licence() -> None:
    assert len({photo.name for photo in SAMPLE_PHOTOS}) == len(SAMPLE_PHOTOS) >= 7
    for photo in (*SAMPLE_PHOTOS, *OTHER_PICTURES):
        assert photo.path.is_file()
        assert photo.licence
        assert photo.credit
    with pytest.raises(FileNotFoundError, match="is not installed: make setup"):
        type(SAMPLE_PHOTOS[0])("x", "no_such_package", "x.jpg", (), "", "").read()
