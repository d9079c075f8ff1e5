"""The verdict's lines for the terminal."""

import re
import subprocess
import sys
from io import BytesIO, TextIOWrapper

import pytest

from challenges.minimal_service.report.criteria_texts import criteria_texts
from challenges.minimal_service.report.terminal import text
from learner.language import speaking
from learner.paths import ROOT
from learner.terminal import width
from tests.challenges.minimal_service import verdicts


@pytest.mark.parametrize("columns", [30, 40, 80, 100])
@pytest.mark.parametrize("code", ["en", "ja"])
def test_lines_for_the_terminal(columns: int, code: str) -> None:
    with speaking(code):
        lines = text(verdicts.failed(), columns).splitlines()
        titles = [one.title for one in criteria_texts().values()]
    assert max(map(width, lines)) <= columns
    for title in titles:
        assert sum(line[2:].startswith(title) for line in lines) == 1
    whole = "".join(line.strip() for line in lines)
    assert whole.count("40ofthemlater") == 0
    assert re.sub(r"\s", "", whole).count("40ofthemlater.") == 5


def test_an_output_of_ascii_gets_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", TextIOWrapper(BytesIO(), encoding="ascii"))
    lines = text(verdicts.partly(), 80)
    assert lines.isascii()
    assert "+ Three modules" in lines
    assert "- Container" in lines


def test_a_line_tells_points_figures_cause_and_section() -> None:
    lines = text(verdicts.failed(), 100)
    assert (
        "✓ Right answers          20/20  same first class 99.2 %, photo formats answered right 9\n"
        in lines
    )
    assert "✗ Weights loaded once   3.3/10  read before ready 275 MB" in lines
    assert "Likely cause: The handler of requests does what belongs at start-up (load)." in lines
    assert "What helps: Lesson 4, “When should the weights be loaded?”" in lines
    assert "Beyond the target" in text(verdicts.passed(), 100)


def test_the_terminal_does_not_wait_for_plots() -> None:
    program = "import sys, challenges.minimal_service.report.terminal; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert "challenges.minimal_service.report.terminal" in done.stdout
    assert "matplotlib" not in done.stdout
