"""The verdict on a submission: what was measured, what was missed, and why. Its JSON is public."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

CriterionId = Literal[
    "structure",
    "load-once",
    "artifact",
    "answers",
    "load",
    "availability",
    "memory",
    "packaging",
]

POINTS: dict[CriterionId, int] = {
    "structure": 10,
    "load-once": 10,
    "artifact": 15,
    "answers": 20,
    "load": 25,
    "availability": 10,
    "memory": 5,
    "packaging": 5,
}
"""Points that each criterion can bring; together 100."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Check(_Part):
    """One thing that was looked at, in one sentence of the learner's language."""

    id: str
    """kebab-case: "weights-read-after-ready"."""
    passed: bool | None
    """None: it could not be checked here; `text` says why."""
    text: str
    """What was expected and what was found, with figures and units."""


class CriterionResult(_Part):
    """What became of one criterion."""

    id: CriterionId
    status: Literal["passed", "failed", "not-checked"]
    points: float = Field(ge=0)
    """Of `POINTS[id]`; continuous where good is never the end."""
    most: int
    checks: list[Check]
    measured: dict[str, float] = Field(default_factory=dict)
    """Figures by name with their unit in it: {"p99_ms": 41.2}."""
    cause: str | None = None
    """The likely cause of a failure, a sentence of the learner's language."""
    lesson: str | None = None
    """What helps: "04_model_service.ipynb#cell-id=drain"."""


class Series(_Part):
    """What the plots are drawn from."""

    due_s: list[float] = Field(default_factory=list)
    """Of each request of the load, seconds from its start."""
    latency_ms: list[float | None] = Field(default_factory=list)
    """Of the same requests, from the moment due; None: no right answer."""
    steps_rate: list[float] = Field(default_factory=list)
    """Of the steps beyond the target: requests a second …"""
    steps_p99_ms: list[float | None] = Field(default_factory=list)
    """… and their p99; None: not all were answered."""
    memory_s: list[float] = Field(default_factory=list)
    memory_mib: list[float] = Field(default_factory=list)
    """Of all processes of the service, proportional (PSS), over the time of the load."""


class Machine(_Part):
    """What this machine can do, measured before anything is graded."""

    cores: int
    memory_gb_s: float
    """Rate of reading memory with all cores."""
    arithmetic_gflop_s: float
    """float32 matrix product with all cores."""
    noise: float
    """How much longer the slowest of many equal pieces of work took than the median, as a share."""
    floor_ms: float
    """Least milliseconds of an image alone that this machine's rates allow, if every weight is
    used, in int8. Who reads only those that matter can be faster."""
    target_rate: float
    """Requests a second that are asked for here: 50, or fewer where 50 is out of reach."""
    target_reason: str | None
    """Why the target was scaled, or None."""


class Verdict(_Part):
    """The whole verdict."""

    schema_version: Literal[1] = 1
    submission: str
    """Name of the graded folder, "reference" or "starter"."""
    graded_at: datetime
    quick: bool
    passed: bool
    """No criterion was failed, and answers and load were both checked."""
    score: float = Field(ge=0)
    """Sum of the points, and what lies beyond the target: may exceed 100."""
    machine: Machine
    criteria: list[CriterionResult]
    series: Series
    not_checked: list[str]
    """What was not checked and why, a sentence each."""
    seconds: float
    """What the grade took."""
