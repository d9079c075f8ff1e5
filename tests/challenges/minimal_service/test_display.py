"""Progress and leaderboard say what was met, what is open, and what changed."""

from pathlib import Path

import pytest

from tests.challenges.minimal_service.own_service import STARTER_MISSES, Run, change, grade

pytestmark = pytest.mark.usefixtures("own")


def test_progress_says_what_is_met_and_what_is_open(run: Run) -> None:
    assert "Nothing was graded yet" in run("progress")
    change(1)
    grade(*STARTER_MISSES, score=61.5)
    run("plan", "step-1", "I would split it.")
    run("hint", "load")
    said = run("progress")
    assert "answered: 1 of 2" in said
    assert "61.5 points, 5 of 8 criteria" in said
    assert "✗ load Latency under load" in said
    assert "✓ answers" in said
    assert "hints seen: 1 of 3" in said
    assert "until the solution opens: 2" in said
    change(2)
    grade(score=101.0)
    assert "The solution is open" in run("progress")


def test_the_leaderboard_says_what_changed(run: Run, own: Path) -> None:
    assert "Nothing was graded yet" in run("leaderboard")
    grade("load", score=30.0)
    grade("load", score=35.0)
    change(1)
    (own / "more.py").write_text("x = 1\n")
    (own / "sender.py").unlink()
    grade("load", score=50.0)
    said = run("leaderboard")
    assert said.startswith("1. 50.0 points")
    first, second, third = said.split(" points, ")[1:]
    assert "before (+15.0 points): +more.py, -sender.py, server.py" in first
    assert "the same code as the attempt before (+5.0 points)" in second
    assert "the first attempt" in third


def test_the_leaderboard_of_many_is_short(run: Run) -> None:
    for number in range(13):
        grade("load", score=float(number))
    said = run("leaderboard")
    assert said.count(" points, ") == 10
    assert "The best 10 of 13" in said
