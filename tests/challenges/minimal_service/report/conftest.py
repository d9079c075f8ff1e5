"""Tests of the report expect English."""

from collections.abc import Iterator

import pytest

from learner.language import speaking


@pytest.fixture(autouse=True)
def in_english() -> Iterator[None]:
    """Speak English, whatever language the learner of this folder has chosen."""
    with speaking("en"):
        yield
