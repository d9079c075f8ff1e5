"""A lesson says when other programs took the machine, and is silent otherwise."""

import pytest

from notebooks.workshop import busy
from notebooks.workshop.busy import say_if_busy, watched


def test_a_busy_machine_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    say_if_busy(0.5)
    assert "Other programs took 50% of the processor" in capsys.readouterr().out


def test_a_quiet_machine_is_not_mentioned(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("learner.cpu_meter.CpuMeter.others", lambda self, started=(): 0.1)
    with watched() as machine:
        pass
    assert capsys.readouterr().out == ""
    assert machine.quiet
    monkeypatch.setattr("learner.cpu_meter.CpuMeter.others", lambda self, started=(): 0.5)
    with watched() as machine:
        pass
    assert not machine.quiet


def test_processes_that_end_within_the_block_are_not_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = iter([0.1, 0.1, 0.1, 0.5])
    monkeypatch.setattr(busy, "_sample", lambda: next(samples))
    with busy.watched_around():
        pass
    assert capsys.readouterr().out == ""
    with busy.watched_around():
        pass
    assert "50%" in capsys.readouterr().out
