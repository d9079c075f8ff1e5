"""The steps of a start are read from the log."""

from typing import Any

from learner.processes import Line
from quizzes.evidence.start_order import start_steps


class Log:
    """A service that has printed its log."""

    lines = (
        Line(1.0, "INFO  verify   every file · 200.0 ms"),
        Line(1.1, "INFO  match    packages"),
        Line(1.2, "INFO  other    not a step"),
        Line(2.0, "INFO  ready    http://127.0.0.1:1"),
    )

    def wait_for(self, words: str) -> Line:
        assert words == " ready "
        return self.lines[-1]


def test_a_step_lasts_from_the_line_before_it_to_its_own() -> None:
    log: Any = Log()
    steps = [(step.name, step.begin, step.end) for step in start_steps(log)]
    assert steps == [
        ("imports", 0.0, 0.8),
        ("verify", 0.8, 1.0),
        ("match", 1.0, 1.1),
        ("ready", 1.1, 2.0),
    ]
