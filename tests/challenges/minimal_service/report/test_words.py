"""Figures, names and sentences of a verdict are right and cannot control a terminal."""

import ast
import re
from collections.abc import Iterator

import pytest

from challenges.minimal_service.grading.criteria import load as graded
from challenges.minimal_service.grading.criteria.load import PERCENTILES
from challenges.minimal_service.grading.verdict import Series
from challenges.minimal_service.report.criteria_texts import figure_names
from challenges.minimal_service.report.plots import TARGET_MS
from challenges.minimal_service.report.terminal import text
from challenges.minimal_service.report.words import bonus, clean, figures, first_step
from learner.paths import ROOT
from tests.challenges.minimal_service import verdicts


def test_a_submission_cannot_steer_the_terminal() -> None:
    assert clean("a\x1b[2Jb\u202ec\udc80\nd") == "a\ufffd[2Jb\ufffdc\ufffd d"
    verdict = verdicts.verdict([], Series(), name="x\x1b]0;title\x07", not_checked=["\x9b2J"])
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text(verdict))


def test_every_figure_that_a_criterion_measures_has_a_name() -> None:
    """Otherwise the page would show an English key to everybody."""
    keys = {}
    for path in sorted((ROOT / "challenges/minimal_service/grading").rglob("*.py")):
        for key in measured_keys(ast.parse(path.read_text(encoding="utf-8"))):
            keys[key] = path.name
    keys |= dict.fromkeys(PERCENTILES, "load.py")
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
    assert bonus(verdicts.passed()) == pytest.approx(12.6)
    assert bonus(verdicts.failed()) == 0


def test_begin_with_what_cost_most() -> None:
    assert "“Latency under load” cost the most points: 16.7 of 25." in str(
        first_step(verdicts.failed())
    )
    assert first_step(verdicts.passed()) is None
