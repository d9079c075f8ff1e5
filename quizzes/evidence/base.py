"""The outcome of an experiment."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Evidence:
    """The outcome of an experiment, in a form that every face of the quiz can show.

    An experiment is a function without arguments that returns this (quizzes/experiments.py finds
    it by name). It takes at most 20 s on two cores, ends every process that it starts, and checks
    itself: if its result does not support the answer, it raises AssertionError.
    """

    shows: str
    """One or two sentences in the learner's language, with the measured figures."""
    values: Mapping[str, float] = field(default_factory=dict)
    """Bars to draw: name in the learner's language → value."""
    unit: str = ""
    target: float | None = None
    """A line across the bars, for example the latency target."""
    varies: str = ""
    """The one thing that differs between what is compared, and what stays the same: one sentence in
    the learner's language. `lint` refuses an experiment without it: an experiment that varies two
    things proves neither."""
