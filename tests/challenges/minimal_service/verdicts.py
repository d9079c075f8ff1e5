"""Verdicts made up for tests of what is done with one; none of them was measured."""

from datetime import UTC, datetime
from typing import Literal

import numpy as np

from challenges.minimal_service.grading.verdict import (
    POINTS,
    Check,
    CriterionId,
    CriterionResult,
    Machine,
    Series,
    Verdict,
)

WHEN = datetime(2026, 11, 22, 14, 5, tzinfo=UTC)
MACHINE = Machine(
    cores=2,
    memory_gb_s=31.4,
    arithmetic_gflop_s=171.0,
    noise=0.08,
    floor_ms=8.3,
    target_rate=50.0,
    target_reason=None,
)
LESSONS: dict[CriterionId, str] = {
    "structure": "02_script_to_modules.ipynb#cell-id=boundaries",
    "load-once": "04_model_service.ipynb#cell-id=loading",
    "artifact": "03_artifact.ipynb#cell-id=explain-refusals",
    "answers": "03_artifact.ipynb#cell-id=weights-alone",
    "load": "06_challenge.ipynb#cell-id=lever",
    "availability": "04_model_service.ipynb#cell-id=explain-drain",
    "memory": "06_challenge.ipynb#cell-id=roof",
    "packaging": "01_mindset_shift.ipynb#cell-id=restart",
}
MEASURED: dict[CriterionId, dict[str, float]] = {
    "load-once": {"weights_mb": 275.1, "read_before_ready_mb": 275.4},
    "answers": {"agreement": 0.992, "formats_right": 9},
    "load": {"p50_ms": 14.2, "p99_ms": 41.26, "rate_per_s": 50, "answered_per_s": 49.9},
    "memory": {"memory_mib": 512.4, "allowed_mib": 640},
}
Status = Literal["passed", "failed", "not-checked"]


def criterion(
    name: CriterionId, status: Status = "passed", points: float | None = None, **more: object
) -> CriterionResult:
    """A criterion's result with one or two checks."""
    most = POINTS[name]
    checks = [Check(id="found", passed=True, text="Expected and found: 3 of 3.")]
    if status == "failed":
        text = "Expected: at most 1 read of model.safetensors; found: 41 reads, 40 of them later."
        checks.append(Check(id="again", passed=False, text=text))
    if status == "not-checked":
        checks = [Check(id="engine", passed=None, text="There is no container engine here.")]
    return CriterionResult(
        id=name,
        status=status,
        points={"passed": most, "failed": most / 3, "not-checked": 0}[status]
        if points is None
        else points,
        most=most,
        **{
            "checks": checks,
            "measured": MEASURED.get(name, {}),
            "cause": f"The handler of requests does what belongs at start-up ({name})."
            if status == "failed"
            else None,
            "lesson": LESSONS[name],
            **more,
        },
    )


def series(seconds: int = 60, slow: float = 1.0, lost: int = 0, grows: float = 0.0) -> Series:
    """50 requests a second: log-normal latencies, `slow` times; some are lost in one stretch."""
    random = np.random.default_rng(7)
    n = 50 * seconds
    due = np.sort(random.uniform(0, seconds, n))
    latency: list[float | None] = list(random.lognormal(2.6, 0.33, n) * slow)
    for number in range(n // 2, n // 2 + lost):
        latency[number] = None
    times = np.linspace(0, seconds, 2 * seconds)
    return Series(
        due_s=list(due),
        latency_ms=latency,
        steps_rate=[60, 70, 80, 90, 100, 110],
        steps_p99_ms=[34 * slow, 37 * slow, 41 * slow, 47 * slow, 88 * slow, None],
        memory_s=list(times),
        memory_mib=list(505 + 7 * (1 - np.exp(-times / 4)) + grows * times),
    )


def verdict(
    results: list[CriterionResult], series: Series, name: str = "my_service", **more: object
) -> Verdict:
    """A verdict whose score fits its criteria."""
    failed = [result for result in results if result.status == "failed"]
    given: dict[str, object] = {
        "submission": name,
        "graded_at": WHEN,
        "quick": False,
        "passed": not failed,
        "score": sum(result.points for result in results),
        "machine": MACHINE,
        "criteria": results,
        "series": series,
        "not_checked": [],
        "seconds": 247.3,
        **more,
    }
    return Verdict.model_validate(given)


def passed() -> Verdict:
    """Everything is right, and more was served than was asked for."""
    return verdict([criterion(name) for name in POINTS], series(), score=112.6)


def failed() -> Verdict:
    """Many faults: late, requests lost, two copies of the weights."""
    broken: tuple[CriterionId, ...] = ("load-once", "artifact", "load", "availability", "memory")
    results = [criterion(name, "failed" if name in broken else "passed") for name in POINTS]
    return verdict(results, series(slow=4.5, lost=90, grows=4.0))


def partly() -> Verdict:
    """Quick, on a slow machine, and some of it could not be checked."""
    results = [
        criterion(name, "not-checked" if name == "packaging" else "passed") for name in POINTS
    ]
    reason = "This machine reads memory at 6 GB/s, so the target is 20 requests a second."
    machine = MACHINE.model_copy(
        update={"target_rate": 20.0, "target_reason": reason, "memory_gb_s": 6.0}
    )
    return verdict(
        results,
        series(seconds=8),
        quick=True,
        machine=machine,
        seconds=51.0,
        not_checked=[
            "The container was not built: neither podman nor buildah is installed.",
            "Reads of the weights were not watched: this system has no fanotify.",
        ],
    )
