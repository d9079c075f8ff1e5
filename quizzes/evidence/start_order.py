"""The steps of a service's start, in their order, with their durations."""

import re
from dataclasses import dataclass

from learner.language import _
from learner.processes import Program
from quizzes.evidence import Evidence
from quizzes.evidence.running import REFERENCE, Service

STEPS = ("verify", "match", "load", "warm-up", "replay", "ready")
"""The steps in the order of the reference service's log."""
_STEP = re.compile(r"INFO +(\S+)")
_TOOK = re.compile(r" · ([\d.]+) ms$")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a start. Times are seconds from the start of the process."""

    name: str
    begin: float
    end: float


def start_steps(service: Program) -> list[Step]:
    """Return the steps of a reference service's start, from its log; wait until it is ready.

    A step lasts from the previous line to its own. Before the first one Python starts and imports,
    here "imports". The last one, "ready", opens the port.

    Raises:
        LearnerError: it does not become ready.
    """
    service.wait_for(" ready ")
    named = [
        (step[1], line)
        for line in list(service.lines)
        if (step := _STEP.search(line.text)) and step[1] in STEPS
    ]
    first = named[0][1]
    took = _TOOK.search(first.text)
    end = first.at - float(took[1]) / 1000 if took else 0.0
    steps = [Step("imports", 0.0, max(end, 0.0))]
    for name, line in named:
        steps.append(Step(name, steps[-1].end, line.at))
    return steps


def run() -> Evidence:
    """Start the reference service and read its log."""
    with Service(REFERENCE) as service:
        steps = start_steps(service)
    assert [step.name for step in steps[1:]] == list(STEPS), "the order of the log"
    return Evidence(
        shows=_("The service was ready after {seconds:.1f} s. Its log says: {steps}.").format(
            seconds=steps[-1].end, steps=" → ".join(step.name for step in steps[1:])
        ),
        values={step.name: (step.end - step.begin) * 1000 for step in steps},
        unit="ms",
        varies=_("the step; all of them belong to one start of one process."),
    )
