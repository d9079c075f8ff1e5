"""Experiments are found by name, run, and fail in words."""

import pytest

from learner.errors import LearnerError
from quizzes import experiments, lint
from quizzes.evidence import Evidence, exhibit, tail_latency
from quizzes.questions import all_questions


def test_an_experiment_that_shows_something_else_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise AssertionError("it was the other way round")

    monkeypatch.setattr("quizzes.evidence.notebook_state.run", fails)
    (problem,) = lint.run_experiment(all_questions()["notebook-in-production"])
    assert "did not show it this time: it was the other way round" in problem


def test_experiments_are_found_by_name() -> None:
    assert experiments.find("restart") is exhibit.restart
    assert experiments.find("exhibit") is None, "a module without an experiment of its own"
    assert experiments.find("tail_latency") is tail_latency.run
    assert experiments.find("no_such") is None
    names = {entry.question.evidence for entry in all_questions().values()}
    assert names >= set(experiments.SHARED)


def test_an_experiment_that_cannot_run_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise OSError("no room")

    monkeypatch.setattr("quizzes.evidence.notebook_state.run", fails)
    with pytest.raises(LearnerError, match=r"notebook_state could not run: OSError: no room"):
        experiments.run(all_questions()["notebook-in-production"])


def test_figures_have_three_digits_and_their_unit() -> None:
    found = Evidence("It shows.", {"a": 1234.5, "b": 0.0123}, "ms")
    assert experiments.figures(found) == [("a", 1234.5, "1,234 ms"), ("b", 0.0123, "0.0123 ms")]
