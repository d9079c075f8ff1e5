"""Changes of the learner's code, and made-up grades of it, for tests that use the fixture `own`."""

from collections.abc import Callable

from challenges.minimal_service import progress
from challenges.minimal_service.grading.verdict import POINTS, CriterionId, Series
from challenges.minimal_service.learner_service import own_folder
from tests.challenges.minimal_service.verdicts import criterion, verdict

Run = Callable[..., str]
STARTER_MISSES: tuple[CriterionId, ...] = ("structure", "load-once", "load")


def change(number: int) -> None:
    """Write another version of the code."""
    (own_folder() / "server.py").write_text(f"version = {number}\n", encoding="utf-8")


def grade(*misses: CriterionId, score: float = 40.0, quick: bool = True) -> progress.Attempt:
    """Record a verdict on the code as it is."""
    results = [criterion(name, "failed" if name in misses else "passed") for name in POINTS]
    return progress.record(verdict(results, Series(), score=score, quick=quick))
