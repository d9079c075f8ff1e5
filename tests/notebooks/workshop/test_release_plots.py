"""The plots say in words what they show."""

from typing import Any

import pytest

from challenges.releases.router import Routed
from notebooks.workshop import release_plots


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The alternative texts of the plots that are shown."""
    texts: list[str] = []

    def keep(_figure: Any, alt: str) -> None:
        texts.append(alt)

    monkeypatch.setattr(release_plots, "show", keep)
    return texts


def test_a_release_is_told_by_who_answered(said: list[str]) -> None:
    log = [
        Routed("request-3", "released", 200, 9.0),
        Routed("request-2", "candidate", 200, 20.0, same=False),
        Routed("request-1", "candidate", 200, 21.0, same=True),
        Routed("request-0", "released", 200, 8.0),
    ]
    release_plots.show_release(log)
    assert said == [
        "released model: 2 requests, number 0 to 3; candidate: 2 requests, number 1 to 2; "
        "1 compared answers differ"
    ]


def test_a_release_that_moved_nobody(said: list[str]) -> None:
    release_plots.show_release([Routed("request-0", "released", 200, 8.0)])
    assert "candidate: 0 requests; 0 compared answers differ" in said[0]


def test_windows_are_told_with_their_sizes(said: list[str]) -> None:
    release_plots.show_windows((50, 3200), {"clean": [0.0, 0.01], "skewed": [0.02, 1.0]})
    assert said == ["clean: 0 % at 50, 1 % at 3,200; skewed: 2 % at 50, 100 % at 3,200"]
