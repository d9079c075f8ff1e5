"""Progress of a build: a sign of life in time, a short log, one row of a terminal."""

from io import StringIO

import pytest

from service.artifact import progress
from service.artifact.progress import WIDTH, Progress
from tests.conftest import wait_until


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "HEARTBEAT_S", 0.02)
    monkeypatch.setattr(progress, "TERMINAL_S", 0.02)


def test_a_step_of_a_log_is_one_line_that_grows() -> None:
    log = StringIO()
    with Progress(log) as shown:
        shown.note("[build 1/2] eager:", "export")
        wait_until(lambda: log.getvalue().count("export, 0 s;") > 2)
        shown.note("[build 1/2] eager:", "50 of 700 crops")
        wait_until(lambda: "50 of 700 crops, 0 s;" in log.getvalue())
        shown.say("[build 1/2] eager: 18.6 MB")
        shown.note("[build 2/2] onnx-fp32:", "export")
        wait_until(lambda: "onnx-fp32: export" in log.getvalue())
        shown.say("warning")
    first, *others = log.getvalue().splitlines()
    assert first.startswith("[build 1/2] eager: export, 0 s; export, 0 s;")
    assert first.endswith("50 of 700 crops, 0 s; 18.6 MB")
    assert others[0].startswith("[build 2/2] onnx-fp32: export, 0 s;")
    assert others[1:] == ["warning"]


def test_a_quick_step_has_only_its_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "HEARTBEAT_S", 60.0)
    log = StringIO()
    with Progress(log) as shown:
        shown.note("[build 1/1] eager:", "export")
        shown.say("[build 1/1] eager: 18.6 MB")
        shown.note("[build]", "write to the disk")
    assert log.getvalue() == "[build 1/1] eager: 18.6 MB\n"


def test_a_terminal_shows_the_step_in_one_row() -> None:
    screen = Terminal()
    with Progress(screen) as shown:
        shown.note("[build 1/1] eager:", "export " * 20)
        before = screen.getvalue()
        wait_until(lambda: len(screen.getvalue()) > len(before))
        assert "\n" not in screen.getvalue()
        assert {len(row) for row in screen.getvalue().split("\r")[1:]} == {WIDTH}
        shown.say("[build 1/1] eager: 18.6 MB")
        shown.note("[build]", "write to the disk")
    rows = [line.split("\r")[-1].strip() for line in screen.getvalue().split("\n")]
    assert rows == ["[build 1/1] eager: 18.6 MB", ""]


def test_what_follows_begins_on_a_line_of_its_own() -> None:
    log = StringIO()
    with Progress(log) as shown:
        shown.note("[build]", "export")
        wait_until(lambda: "export" in log.getvalue())
    assert log.getvalue().endswith(";\n")
