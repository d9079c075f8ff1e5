"""Panels and pictures of the lesson about the artifact."""

import numpy as np

from notebooks.workshop.artifact import bundle, panels, photos
from service.settings import DEFAULT_ARTIFACT
from tests.notebooks.workshop.conftest import Shown


def test_the_bundle_is_the_default_artifact() -> None:
    assert bundle().path == DEFAULT_ARTIFACT


def test_every_panel_names_its_bars(shown: Shown) -> None:
    sizes = {"eager": 1234.5, "int8": 5.25}
    panels({"size, MB": sizes, "load, ms": sizes, "one": sizes, "two": sizes})
    assert shown.text.startswith("size, MB: eager 1,234, int8 5.2; load, ms: ")
    assert shown.text.count("eager") == 4


def test_pictures_have_the_words_that_they_are_given(shown: Shown) -> None:
    grey = np.full((20, 30, 3), 128, np.uint8)
    photos({"left": grey, "right": grey}, alt="Two grey squares.")
    assert shown.text == "Two grey squares."
