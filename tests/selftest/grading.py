"""Grades as a learner does: by the command line, in a process of its own."""

import sys
from pathlib import Path

from challenges.minimal_service.grading.verdict import CriterionId, Verdict
from learner.errors import LearnerError
from learner.processes import Program

MOST_SECONDS = 45 * 60
"""Limit for one grade, including the build of an artifact of 1 GB."""


class GradeError(LearnerError):
    """A grade that gave no verdict: the grader itself is at fault."""


def grade(submission: str | Path, model: Path, quick: bool, folder: Path) -> Verdict:
    """Grade a submission and return its verdict.

    Args:
        submission: a folder, "reference" or "starter".
        model: folder of the research model.
        quick: a short grade.
        folder: an existing folder, for the verdict's file.

    Raises:
        GradeError: there is no verdict, or it contradicts the exit status.
    """
    file = folder / "verdict.json"
    file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "challenges", "grade", str(submission), "--json", str(file)]
    command += ["--model", str(model), *(["--quick"] if quick else [])]
    with Program(command, {"WORKSHOP_LANGUAGE": "en"}) as program:
        status = program.wait(MOST_SECONDS)
        if status is None:
            program.stop()  # it ends what it has started
        program.kill()  # and lets its last words be heard
        said = "\n".join(line.text for line in program.lines[-5:])
    if not file.is_file() or not file.stat().st_size:
        raise GradeError(f"no verdict (exit status {status}); the grader said last:\n{said}")
    verdict = Verdict.model_validate_json(file.read_bytes())
    if verdict.passed != (status == 0):
        raise GradeError(f"exit status {status}, but the verdict says passed={verdict.passed}")
    return verdict


def list_failed(verdict: Verdict) -> frozenset[CriterionId]:
    """Return the criteria that failed."""
    return frozenset(each.id for each in verdict.criteria if each.status == "failed")


def list_unchecked(verdict: Verdict) -> frozenset[CriterionId]:
    """Return the criteria that were not checked, such as the load on a busy machine."""
    return frozenset(each.id for each in verdict.criteria if each.status == "not-checked")
