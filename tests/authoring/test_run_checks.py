"""All checks run, and each failure is reported."""

import pytest

from authoring.run_checks import run_stage


def test_a_stage_runs_all_checks_and_returns_failures(capfd: pytest.CaptureFixture[str]) -> None:
    stage = {
        "wrong": ["no_such_module"],
        "help": ["json.tool", "--help"],
        "also wrong": ["json.tool", "no such file"],
    }
    assert run_stage(stage) == ["wrong", "also wrong"]
    printed = capfd.readouterr().out
    assert "[help] json.tool --help\n" in printed
    assert "usage:" in printed
    assert "[also wrong]\n" in printed
