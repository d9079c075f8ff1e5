"""The verdict on a submission: checks, figures, points and causes. Its JSON is a public format."""

import json
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

CriterionId = Literal[
    "structure", "load-once", "artifact", "answers", "load", "availability", "memory", "packaging"
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
"""Points of each criterion; 100 in all."""
LESSONS: dict[CriterionId, str] = {
    "structure": "02_script_to_modules.ipynb#cell-id=explain-boundaries",
    "load-once": "04_model_service.ipynb#cell-id=explain-loading",
    "artifact": "03_artifact.ipynb#cell-id=tampering",
    "answers": "02_script_to_modules.ipynb#cell-id=formats",
    "load": "06_challenge.ipynb#cell-id=plan-text",
    "availability": "04_model_service.ipynb#cell-id=explain-drain",
    "memory": "06_challenge.ipynb#cell-id=copies",
    "packaging": "07_package_and_release.ipynb#cell-id=image",
}
"""The cell of a lesson that teaches what a criterion asks for."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Check(_Part):
    """One thing that was looked at, in one sentence of the learner's language."""

    id: str
    """kebab-case, such as "weights-read-after-ready"."""
    passed: bool | None
    """None: not checked here; `text` says why."""
    text: str
    """Expected and measured, with figures and units."""


class CriterionResult(_Part):
    """What became of one criterion."""

    id: CriterionId
    status: Literal["passed", "failed", "not-checked"]
    points: float = Field(ge=0)
    """0 to `most`; continuous for criteria that are met by degrees."""
    most: int
    checks: list[Check]
    measured: dict[str, float] = Field(default_factory=dict)
    """Figures by name, which ends in the unit: {"p99_ms": 41.2}."""
    cause: str | None = None
    """The likely cause of a failure, a sentence in the learner's language."""
    lesson: str | None = None
    """The section that helps: "04_model_service.ipynb#cell-id=drain"."""


class Series(_Part):
    """What the plots are drawn from."""

    due_s: list[float] = Field(default_factory=list)
    """For each request of the load: when it was due, seconds from the load's start."""
    latency_ms: list[float | None] = Field(default_factory=list)
    """Latency of the same requests from the moment due; None: no right answer."""
    steps_rate: list[float] = Field(default_factory=list)
    """Requests per second of the steps beyond the target."""
    steps_p99_ms: list[float | None] = Field(default_factory=list)
    """p99 of the same steps; None: not all requests were answered."""
    memory_s: list[float] = Field(default_factory=list)
    memory_mib: list[float] = Field(default_factory=list)
    """Proportional memory (PSS) of all processes of the service during the load."""


class Machine(_Part):
    """What this machine can do, measured before anything is graded."""

    cores: int
    memory_gb_s: float
    """Rate at which all cores together read memory."""
    arithmetic_gflop_s: float
    """Rate of a float32 matrix product on all cores."""
    noise: float
    """By what share the slowest of many equal pieces of work exceeds the median."""
    floor_ms: float
    """Least time for a single image at this machine's rates if every int8 weight is used. A service
    that skips weights can be faster."""
    target_rate: float
    """Requests per second that are asked for here: 50, or fewer if 50 is out of reach."""
    target_reason: str | None
    """Why the target was lowered, or None."""


class Verdict(_Part):
    """The whole verdict."""

    schema_version: Literal[1] = 1
    submission: str
    """Name of the graded folder, or "reference", or "starter"."""
    graded_at: datetime
    quick: bool
    passed: bool
    """No criterion failed, and answers and load were both checked."""
    score: float = Field(ge=0)
    """Sum of the points, plus those beyond the target: may exceed 100."""
    machine: Machine
    criteria: list[CriterionResult]
    series: Series
    not_checked: list[str]
    """What was not checked and why, one sentence each."""
    seconds: float
    """Duration of the grade."""


def schema() -> str:
    """Return the JSON schema of a verdict; report/verdict.schema.json publishes it."""
    made = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Verdict.model_json_schema(mode="serialization"),
    }
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"
