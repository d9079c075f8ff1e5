"""What a planted fault is, whichever way it is planted."""

from dataclasses import dataclass
from typing import Literal

from challenges.minimal_service.grading.verdict import CriterionId
from tests.selftest.edits import Edit

Base = Literal["submission", "reference"]
"""What is edited: the small right submission beside this file, which serves a small model; or the
reference, with the model of the challenge, where a fault shows only in its size."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A right service with one thing made wrong."""

    name: str
    """kebab-case, for `--only`."""
    about: str
    """What its author did, in a few words."""
    edit: Edit
    breaks: frozenset[CriterionId]
    """What it must lose."""
    may_break: frozenset[CriterionId] = frozenset()
    """What it may lose besides, as a consequence that depends on the machine."""
    base: Base = "submission"
    zero_points: bool = False
    """It must not keep a single point of what it breaks."""
    p99_ms: float | None = None
    """The load must have measured at least this."""


def criteria(*names: CriterionId) -> frozenset[CriterionId]:
    """Criteria by name."""
    return frozenset(names)
