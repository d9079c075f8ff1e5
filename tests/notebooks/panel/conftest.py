"""A page in a real browser; a test fails if the panel raises an error in it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Error, Page


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1400, "height": 1500})
    page.set_default_timeout(30_000)
    faults: list[str] = []

    def note_fault(error: Error) -> None:
        if "/static/notebook/" not in (error.stack or ""):  # Notebook 7 has an error of its own
            faults.append(str(error))

    page.on("pageerror", note_fault)
    yield page
    page.close()
    assert faults == []
