"""The verdict's lines for the terminal, and the words that they share with the page."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from challenges.minimal_service.grading.criteria import load as graded
from challenges.minimal_service.grading.verdict import Series
from challenges.minimal_service.report.criteria_texts import criteria_texts, figure_names
from challenges.minimal_service.report.lessons import LAB, section
from challenges.minimal_service.report.plots import TARGET_MS
from challenges.minimal_service.report.terminal import text
from challenges.minimal_service.report.words import bonus, clean, figures, first_step, number
from learner.language import speaking
from learner.paths import ROOT
from learner.terminal import width
from tests.challenges.minimal_service import verdicts


@pytest.fixture(autouse=True)
def in_english() -> Iterator[None]:
    """Whatever the learner of this folder has chosen."""
    with speaking("en"):
        yield


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


def test_a_submission_cannot_steer_the_terminal() -> None:
    assert clean("a\x1b[2Jb\u202ec\udc80\nd") == "a\ufffd[2Jb\ufffdc\ufffd d"
    verdict = verdicts.verdict([], Series(), name="x\x1b]0;title\x07", not_checked=["\x9b2J"])
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text(verdict))


def test_links_lead_to_cells_that_are_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    report = tmp_path / "reports" / "report.html"
    with speaking("ja"):
        found = section("04_model_service.ipynb#cell-id=explain-drain", report)
        lab = f"{LAB}/ja/04_model_service.ipynb#cell-id=explain-drain"
        assert found is not None
        assert found.href.endswith("04_model_service.html#cell-id=explain-drain") or (
            found.href == lab
        )
        notebook = (ROOT / "notebooks/ja/04_model_service.ipynb").read_text(encoding="utf-8")
        heading = re.findall("[“「](.+)[”」]", found.text)[0]
        assert f". {heading}" in notebook
        page = tmp_path / "ja" / "04_model_service.html"
        page.parent.mkdir()
        page.touch()
        monkeypatch.setattr("challenges.minimal_service.report.lessons.SITE", tmp_path)
        built = section("04_model_service.ipynb#cell-id=drain", report)
        assert built is not None
        assert built.href == "../ja/04_model_service.html#cell-id=drain"
    assert section("javascript:alert(1)", report) is None
    assert section(None, report) is None


def test_every_figure_that_a_criterion_measures_has_a_name() -> None:
    """Otherwise the page would show an English key to everybody."""
    keys = {}
    for path in sorted((ROOT / "challenges/minimal_service/grading").rglob("*.py")):
        for key in measured_keys(ast.parse(path.read_text(encoding="utf-8"))):
            keys[key] = path.name
    assert "p99_ms" in keys
    assert "weights_mb" in keys
    assert {key: file for key, file in keys.items() if key not in figure_names()} == {}


def measured_keys(code: ast.AST) -> Iterator[str]:
    """Keys in `….measured[key] = …` and in `….measured |= {key: …}`."""
    for node in ast.walk(code):
        match node:
            case ast.Assign(
                targets=[
                    ast.Subscript(
                        value=ast.Attribute(attr="measured"), slice=ast.Constant(value=str(key))
                    )
                ]
            ):
                yield key
            case ast.AugAssign(
                target=ast.Attribute(attr="measured"), value=ast.Dict(keys=[*found])
            ):
                yield from (str(key.value) for key in found if isinstance(key, ast.Constant))


def test_the_target_is_that_of_the_grader() -> None:
    assert TARGET_MS == graded.TARGET_MS


def test_figures_have_units() -> None:
    measured = {
        "p99_ms": 41.26,
        "memory_mib": 1234.5,
        "agreement": 0.9915,
        "rate_per_s": 50.0,
        "reads": 3,
        "new": 0.001,
    }
    result = verdicts.criterion("load", measured=measured)
    assert figures(result) == [
        ("p99 latency", "41.3 ms"),
        ("requests sent", "50/s"),
        ("same first class", "99.2 %"),
        ("memory of all processes", "1,234 MiB"),
        ("reads", "3"),
        ("new", "0.001"),
    ]
    assert [number(one) for one in (float("inf"), float("nan"), 0.0)] == ["∞", "–", "0"]
    assert bonus(verdicts.passed()) == pytest.approx(12.6)
    assert bonus(verdicts.failed()) == 0


def test_begin_with_what_cost_most() -> None:
    assert "“Latency under load” cost the most points: 16.7 of 25." in str(
        first_step(verdicts.failed())
    )
    assert first_step(verdicts.passed()) is None


def test_the_terminal_does_not_wait_for_plots() -> None:
    program = "import sys, challenges.minimal_service.report.terminal; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert "challenges.minimal_service.report.terminal" in done.stdout
    assert "matplotlib" not in done.stdout
