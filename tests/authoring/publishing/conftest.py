"""Fixtures: a site and decks, built once per session, of small lessons and of the real ones."""

from pathlib import Path
from typing import Any

import pytest

from authoring.publishing import site, slides
from learner.language import LANGUAGES
from notebooks.lab.lessons import NOTEBOOKS, lessons
from tests.authoring.publishing import small_lessons


@pytest.fixture(scope="session", params=["small", "real"])
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of lessons in several languages."""
    if request.param == "real":
        return NOTEBOOKS
    return small_lessons.write(tmp_path_factory.mktemp("lessons"))


@pytest.fixture(scope="session")
def built_site(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of these lessons, with the outputs that they have."""
    output = tmp_path_factory.mktemp("site")
    site.build(output, notebooks=source)
    return output


@pytest.fixture(scope="session")
def decks(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The slides of these lessons in every language."""
    output = tmp_path_factory.mktemp("slides")
    for code in LANGUAGES:
        if lessons(code, source):
            slides.build(output, code, notebooks=source)
    return output


def loaded_from_elsewhere(page: Any) -> list[str]:
    """Return the foreign addresses that a page loads; the list grows while it does."""
    asked: list[str] = []

    def note(request: Any) -> None:
        if not request.url.startswith(("file:", "data:", "about:", "blob:")):
            asked.append(request.url)

    page.on("request", note)
    return asked
