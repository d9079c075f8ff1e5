"""A whole grade: every criterion in its order, in fresh processes, and the verdict at the end."""

import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from challenges.minimal_service.grading import score
from challenges.minimal_service.grading.context import Grade, Report, Say
from challenges.minimal_service.grading.criteria import artifact, load_once, packaging, structure
from challenges.minimal_service.grading.criteria.load import FULL, QUICK, Plan
from challenges.minimal_service.grading.live_criteria import judge_service
from challenges.minimal_service.grading.measuring import calibration as machines
from challenges.minimal_service.grading.sandbox.time_limit import limited
from challenges.minimal_service.grading.submission.submission import Submission, open_submission
from challenges.minimal_service.grading.verdict import (
    POINTS,
    CriterionId,
    CriterionResult,
    Verdict,
)
from learner.errors import LearnerError
from learner.language import _

SERVED: tuple[CriterionId, ...] = ("answers", "load", "memory", "availability")
"""Criteria that one running service shows."""
_LIMIT_S: dict[CriterionId | str, float] = {
    "structure": 120,
    "load-once": 300,
    "served": 900,
    "artifact": 600,
    "packaging": 900,
}
"""After which a part is ended. Each has shorter limits of its own; this one holds in any case."""


@dataclass(slots=True)
class _Parts:
    """The results so far, and which part comes next."""

    say: Say
    results: dict[CriterionId, CriterionResult] = field(default_factory=dict)
    number: int = 0

    def judge(
        self,
        ids: Iterable[CriterionId],
        limit: str,
        words: str,
        judge: Callable[[], Iterable[CriterionResult]],
    ) -> None:
        """Do one part, and fail its criteria with a sentence where that ends in an error."""
        self.number += 1
        self.say(f"[{self.number}/5] {words}")
        missed: str | None = None
        try:
            with limited(_LIMIT_S[limit]):
                self.results |= {result.id: result for result in judge()}
        except LearnerError as error:  # a ServiceFault is one
            missed = str(error)
        except Exception as error:  # whatever a submission provokes must not end the grade
            sentence = _("The grader met something that it does not know: {error}")
            missed = sentence.format(error=f"{type(error).__name__}: {error}")
        for criterion in ids:
            if criterion not in self.results:
                self.results[criterion] = _failed(criterion, missed or "")


def _failed(criterion: CriterionId, sentence: str) -> CriterionResult:
    report = Report(criterion)
    report.check("service-can-be-judged", False, sentence, sentence)
    return report.result()


def _not_reached(criterion: CriterionId) -> CriterionResult:
    report = Report(criterion)
    report.check("not-reached", None, _("Not reached: the submission cannot be used as it is."))
    return report.result()


def grade(
    path: str,
    model: Path,
    *,
    quick: bool,
    seed: int,
    say: Say,
    plan: Plan | None = None,
) -> Verdict:
    """Grade a submission.

    Args:
        path: its folder, or "reference" or "starter".
        model: folder of the research model.
        quick: a short load and no steps beyond the target.
        seed: of photos and arrivals.
        say: is told of the progress, a line at a time.
        plan: of the load; that of `quick`, if not given.

    Returns:
        The verdict; also where the submission cannot be used at all.
    """
    started = time.monotonic()
    plan = plan or (QUICK if quick else FULL)
    with tempfile.TemporaryDirectory(prefix="grade-", ignore_cleanup_errors=True) as folder:
        one = Grade(Path(folder), model, quick, say, seed)
        say(_("This machine is measured: 4 s …"))
        one.machine = machines.calibrate(model)
        say(_machine(one))
        name, parts = Path(path).name or path, _Parts(say)
        try:
            submission = open_submission(path, Path(folder), model, say)
            name = submission.name
            _judge_all(one, submission, plan, parts)
        except LearnerError as error:
            parts.results["structure"] = _failed("structure", str(error))
    results = [parts.results.get(one_id) or _not_reached(one_id) for one_id in POINTS]
    return Verdict(
        submission=name,
        graded_at=datetime.now(UTC),
        quick=quick,
        passed=_passed(results),
        score=score.score(results),
        machine=one.machine,
        criteria=results,
        series=one.series,
        not_checked=_not_checked(results, plan),
        seconds=round(time.monotonic() - started, 1),
    )


def _judge_all(one: Grade, submission: Submission, plan: Plan, parts: _Parts) -> None:
    parts.judge(
        ["structure"],
        "structure",
        _("Structure: three modules, each imported alone: 10 s …"),
        lambda: [structure.judge(one, submission)],
    )
    parts.judge(
        ["load-once"],
        "load-once",
        _("Weights: read once, before ready: 10 s …"),
        lambda: [load_once.judge(one, submission)],
    )
    parts.judge(
        SERVED,
        "served",
        _("Answers, load of {seconds:g} s, memory, availability: {all:.0f} s …").format(
            seconds=plan.seconds,
            all=plan.seconds + len(plan.steps) * (plan.step_seconds + 2) + 30 + plan.sampled / 20,
        ),
        lambda: judge_service(one, submission, plan, parts.results),
    )
    parts.judge(
        ["artifact"],
        "artifact",
        _("Artifact: moved, offline, one bit flipped: 20 s …"),
        lambda: [artifact.judge(one, submission)],
    )
    parts.judge(
        ["packaging"],
        "packaging",
        _("Container: 5 s, or longer where it is built …"),
        lambda: [packaging.judge(one, submission)],
    )


def _machine(one: Grade) -> str:
    assert one.machine is not None
    found = one.machine
    said = _(
        "{cores} cores, memory {memory:g} GB/s, arithmetic {arithmetic:g} GFLOP/s, noise "
        "{noise:.0%}. An image alone takes at least {floor:g} ms here, if every int8 weight is "
        "used."
    ).format(
        cores=found.cores,
        memory=found.memory_gb_s,
        arithmetic=found.arithmetic_gflop_s,
        noise=found.noise,
        floor=found.floor_ms,
    )
    return f"{said} {found.target_reason}" if found.target_reason else said


def _passed(results: list[CriterionResult]) -> bool:
    """No criterion failed; and the two without which there is nothing to pass were judged."""
    by_id = {result.id: result.status for result in results}
    needed = by_id["answers"] == by_id["load"] == "passed"
    return needed and "failed" not in by_id.values()


def _not_checked(results: list[CriterionResult], plan: Plan) -> list[str]:
    found = dict.fromkeys(
        check.text for result in results for check in result.checks if check.passed is None
    )
    if not plan.steps:
        found[_("Throughput beyond the target: a quick grade takes no steps beyond it.")] = None
    return list(found)
