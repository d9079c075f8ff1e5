"""A whole grade: every criterion in its order, in fresh processes, and the verdict at the end."""

import contextlib
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from challenges.minimal_service.grading import score
from challenges.minimal_service.grading.context import Grade, Report, Say
from challenges.minimal_service.grading.criteria import artifact, load_once, packaging, structure
from challenges.minimal_service.grading.criteria.load import FULL, QUICK, Plan
from challenges.minimal_service.grading.live_criteria import judge_service
from challenges.minimal_service.grading.measuring import calibration
from challenges.minimal_service.grading.submission.submission import Submission, open_submission
from challenges.minimal_service.grading.verdict import POINTS, CriterionId, CriterionResult, Verdict
from learner.errors import LearnerError
from learner.language import _

LIVE: tuple[CriterionId, ...] = ("answers", "load", "memory", "availability")
"""Criteria that are judged on one running service."""


class TookTooLong(LearnerError):  # noqa: N818
    """A part of the grade was ended; the message says after how long."""


@contextlib.contextmanager
def limit_time(seconds: float) -> Iterator[None]:
    """Raise `TookTooLong` in the block after `seconds`, whatever it is doing.

    It uses the alarm signal, which only the main thread receives: elsewhere there is no limit.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(_number: int, _frame: FrameType | None) -> None:
        sentence = _("This part of the grade took more than {seconds:g} s and was ended.")
        raise TookTooLong(sentence.format(seconds=seconds))

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@dataclass(slots=True)
class _Parts:
    """The results so far, and the number of the last part."""

    say: Say
    results: dict[CriterionId, CriterionResult] = field(default_factory=dict)
    number: int = 0

    def judge(
        self,
        ids: Iterable[CriterionId],
        limit_s: float,
        words: str,
        judge: Callable[[], Iterable[CriterionResult]],
    ) -> None:
        """Judge one part; if that ends in an error, fail the criteria that have no result yet.

        Every part has shorter limits of its own; `limit_s` holds in any case.
        """
        self.number += 1
        self.say(f"[{self.number}/5] {words}")
        missed: str | None = None
        try:
            with limit_time(limit_s):
                for result in judge():
                    self.results[result.id] = result
        except LearnerError as error:  # a ServiceFault is one
            missed = str(error)
        except Exception as error:  # an error in one part must not end the grade
            sentence = _("The grader met something that it does not know: {error}")
            missed = sentence.format(error=f"{type(error).__name__}: {error}")
        for criterion in ids:
            if criterion not in self.results:
                self.results[criterion] = _fail(criterion, missed or "")


def _fail(criterion: CriterionId, sentence: str) -> CriterionResult:
    report = Report(criterion)
    report.check("service-can-be-judged", False, sentence, sentence)
    return report.result()


def _not_reached(criterion: CriterionId) -> CriterionResult:
    report = Report(criterion)
    report.check("not-reached", None, _("Not reached: the submission cannot be used as it is."))
    return report.result()


def grade(
    path: str, model: Path, *, quick: bool, seed: int, say: Say, plan: Plan | None = None
) -> Verdict:
    """Grade a submission.

    Args:
        path: its folder, or "reference" or "starter".
        model: folder of the research model.
        quick: a short load and no steps beyond the target.
        seed: of photos and arrivals.
        say: receives the progress, a line at a time.
        plan: of the load; depends on `quick` if not given.

    Returns:
        The verdict, even if the submission cannot be used at all.
    """
    started = time.monotonic()
    plan = plan or (QUICK if quick else FULL)
    with tempfile.TemporaryDirectory(prefix="grade-", ignore_cleanup_errors=True) as folder:
        one = Grade(model, quick, say, seed)
        say(_("Measuring this machine takes about 4 s …"))
        one.machine = calibration.calibrate(model)
        say(_describe_machine(one))
        name, parts = Path(path).name or path, _Parts(say)
        try:
            submission = open_submission(path, Path(folder), model, say)
            name = submission.name
            _judge_all(one, submission, plan, parts)
        except LearnerError as error:
            parts.results["structure"] = _fail("structure", str(error))
    results = [parts.results.get(one_id) or _not_reached(one_id) for one_id in POINTS]
    return Verdict(
        submission=name,
        graded_at=datetime.now(UTC),
        quick=quick,
        passed=_is_passed(results),
        score=score.score(results),
        machine=one.machine,
        criteria=results,
        series=one.series,
        not_checked=_list_unchecked(results, plan),
        seconds=round(time.monotonic() - started, 1),
    )


def _judge_all(one: Grade, submission: Submission, plan: Plan, parts: _Parts) -> None:
    steps_s = len(plan.steps) * (plan.step_seconds + 2)
    said = _("Structure: three modules, each imported alone: 10 s …")
    parts.judge(["structure"], 120, said, lambda: [structure.judge(one, submission)])
    said = _("Weights: read once, before ready: 10 s …")
    parts.judge(["load-once"], 300, said, lambda: [load_once.judge(one, submission)])
    said = _("Answers, load of {seconds:g} s, memory, availability: {all:.0f} s …").format(
        seconds=plan.seconds, all=plan.seconds + steps_s + 30 + plan.sampled / 20
    )
    loaded_once = parts.results.get("load-once")
    parts.judge(LIVE, 900, said, lambda: judge_service(one, submission, plan, loaded_once))
    said = _("Artifact: moved, offline, one bit flipped: 20 s …")
    parts.judge(["artifact"], 600, said, lambda: [artifact.judge(one, submission)])
    said = _("Container: 5 s, or longer where it is built …")
    parts.judge(["packaging"], 900, said, lambda: [packaging.judge(one, submission)])


def _describe_machine(one: Grade) -> str:
    assert one.machine is not None
    machine = one.machine
    said = _(
        "{cores} cores, memory {memory:g} GB/s, arithmetic {arithmetic:g} GFLOP/s, noise "
        "{noise:.0%}. An image alone takes at least {floor:g} ms here, if every int8 weight is "
        "used."
    ).format(
        cores=machine.cores,
        memory=machine.memory_gb_s,
        arithmetic=machine.arithmetic_gflop_s,
        noise=machine.noise,
        floor=machine.floor_ms,
    )
    return f"{said} {machine.target_reason}" if machine.target_reason else said


def _is_passed(results: list[CriterionResult]) -> bool:
    """Return whether no criterion failed, and the answers and the load were judged."""
    by_id = {result.id: result.status for result in results}
    needed = by_id["answers"] == by_id["load"] == "passed"
    return needed and "failed" not in by_id.values()


def _list_unchecked(results: list[CriterionResult], plan: Plan) -> list[str]:
    texts = dict.fromkeys(
        check.text for result in results for check in result.checks if check.passed is None
    )
    if not plan.steps:
        texts[_("Throughput beyond the target: a quick grade takes no steps beyond it.")] = None
    return list(texts)
