"""What an experiment found, in a form that every face of the quiz can show."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Evidence:
    """The outcome of one small experiment, made just now on the learner's machine.

    An experiment is a module of this package with a function `run() -> Evidence` that takes at most
    20 s on two cores, ends whatever it started, and checks itself: it raises AssertionError when
    what it found does not bear out the answer that it is evidence for.
    """

    shows: str
    """One or two sentences in the learner's language, with the measured figures."""
    values: Mapping[str, float] = field(default_factory=dict)
    """What to draw as bars: name in the learner's language → value."""
    unit: str = ""
    target: float | None = None
    """A line across the bars, for example the latency target."""
