"""What a lesson would display, without a notebook."""

from typing import Any

import pytest

from notebooks.workshop import exhibit, listing, plots


class Shown(list[dict[str, str]]):
    """The outputs of a cell, each as MIME type → content."""

    @property
    def text(self) -> str:
        """The text of the only output."""
        (page,) = self
        return page["text/plain"]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    pages = Shown()

    def display(page: Any, raw: bool) -> None:
        assert raw
        pages.append(page)

    for module in (plots, listing, exhibit):
        monkeypatch.setattr(module, "display", display)
    monkeypatch.setenv("WORKSHOP_LANGUAGE", "en")
    return pages
