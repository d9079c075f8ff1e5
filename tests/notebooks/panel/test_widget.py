"""The widget's messages and views, without a browser: what it asks of its conductor, and when."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from learner.language import speaking
from notebooks.panel import conductor, state, widget
from notebooks.panel.widget import Panel, panel
from service.console import routes
from service.console.component import FRONT
from service.console.texts import english, texts
from service.settings import ROOT

FRONT_ENDS = [*FRONT.glob("*.js"), *(ROOT / "notebooks/panel/front").glob("*.js")]


class Recorder:
    """Stands in for a conductor, and notes what is asked of it."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *values: self.asked.append((name, *values))


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> Iterator[Panel]:
    with speaking("en"):
        made = panel()
    made._conductor.close()
    monkeypatch.setattr(made, "_conductor", Recorder())
    monkeypatch.setattr(made, "send", lambda _message: None)
    yield made
    made.close()


def receive(live: Panel, buffers: list[Any] | None = None, **message: Any) -> list[tuple[Any, ...]]:
    """Send a message of the front end; what was asked of the conductor because of it."""
    recorder: Any = live._conductor
    recorder.asked.clear()
    live._on_message(live, message, buffers or [])
    return list(recorder.asked)


def test_messages_reach_the_conductor(live: Panel) -> None:
    assert receive(live, do="simulate", mode="all") == [("simulate", "all")]
    assert receive(live, do="choose", mode="first-request") == [("choose", "first-request")]
    assert receive(live, [b"x"], do="predict", name="a.png") == [("predict", "a.png", b"x")]
    assert receive(live, do="sample", name="coffee") == [("sample", "coffee")]
    for word in ("stop", "kill", "more", "tamper"):
        assert receive(live, do=word) == [(word,)]


def test_unknown_messages_ask_for_nothing(live: Panel) -> None:
    assert receive(live, do="close") == []
    assert receive(live, do="simulate", mode="never") == []


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="'never'; it must be one of every-request"):
        panel("never")


def test_a_panel_is_watched_until_its_views_fall_silent(
    live: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    receive(live, do="hello", view="seen")
    now += widget.VISIBLE_S - 1
    assert live._is_watched()
    now += 2
    assert not live._is_watched()
    receive(live, do="hello", view="seen", hidden=True)  # browsers slow hidden pages down
    now += widget.HIDDEN_S - 1
    assert live._is_watched()
    receive(live, do="goodbye", view="seen")
    now += widget.GONE_S - 1  # a page that is reloaded is back before
    assert live._is_watched()
    now += 2
    assert not live._is_watched()


def test_a_busy_kernel_counts_as_watched(live: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    receive(live, do="hello", view="seen")
    live._begin_cell(None)
    now += 10 * widget.HIDDEN_S
    assert live._is_watched()
    live._end_cell(None)
    now += widget.VISIBLE_S - 1  # the view has this long to be heard again
    assert live._is_watched()
    now += 2
    assert not live._is_watched()


def test_every_text_that_is_said_exists() -> None:
    """Back end and front end name texts by strings; a slip would show a bare name."""
    names = set(texts(english))
    modules = (conductor, state, widget, routes)
    sources = "".join(Path(str(module.__file__)).read_text() for module in modules)
    said = set(re.findall(r'(?:say|remark|_end_with|_shown|stop)\(\s*(?:flow, )?"(\w+)"', sources))
    front = "".join(path.read_text() for path in FRONT_ENDS)
    said |= set(re.findall(r'\bsay\("([\w-]+)"', front))
    said |= set(re.findall(r'\bkey: "(\w+)"', front)) | set(re.findall(r'tell\("(try\w+)"', front))
    assert len(said) > 50
    assert said <= names
