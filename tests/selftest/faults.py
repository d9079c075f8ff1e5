"""The description of a planted fault."""

from dataclasses import dataclass
from typing import Literal

from challenges.minimal_service.grading.verdict import CriterionId
from tests.selftest.edits import Edit

Base = Literal["submission", "reference"]
"""What is edited: the small right submission next to this file, which serves a small model; or the
reference with the model of 1 GB, for faults that show only at that size."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A right service with one fault."""

    name: str
    """kebab-case, for `--only`."""
    about: str
    """What is wrong, in a few words."""
    edit: Edit
    breaks: frozenset[CriterionId]
    """Criteria that it must lose."""
    may_break: frozenset[CriterionId] = frozenset()
    """Criteria that it may lose besides, depending on the machine."""
    base: Base = "submission"
    zero_points: bool = False
    """It must lose all points of what it breaks."""
    p99_ms: float | None = None
    """Least p99 that the load must have measured."""


def criteria(*names: CriterionId) -> frozenset[CriterionId]:
    """Return criteria as a set."""
    return frozenset(names)
