"""Judges what one running service shows: answers, load, memory, and how it dies and comes back."""

from collections.abc import Iterator

from challenges.load.images import PhotoMaker
from challenges.minimal_service.grading.context import Grade
from challenges.minimal_service.grading.criteria import answers, availability, load, memory
from challenges.minimal_service.grading.criteria.answers import ask_one_by_one
from challenges.minimal_service.grading.criteria.load import LoadRun, Plan
from challenges.minimal_service.grading.criteria.load_once import judge_load
from challenges.minimal_service.grading.criteria.memory import MemoryWatch
from challenges.minimal_service.grading.measuring import oracle as bounds
from challenges.minimal_service.grading.measuring.calibration import TARGET_RATE
from challenges.minimal_service.grading.measuring.oracle import Truth, WrongForm, parse
from challenges.minimal_service.grading.sandbox.file_watch import watch_files
from challenges.minimal_service.grading.submission.running import RunningService
from challenges.minimal_service.grading.submission.submission import Submission
from challenges.minimal_service.grading.verdict import CriterionResult
from learner.language import _

_KNOWN = 40
"""Photos whose answers are compared before and after a restart."""
_OF_ANSWERS = ("sample-answered", "answers-have-form", "first-class", "probabilities")
"""Checks that tell whether the answers under load were the model's."""


def judge_service(
    grade: Grade, submission: Submission, plan: Plan, loaded_once: CriterionResult | None
) -> Iterator[CriterionResult]:
    """Start the service once, and yield the result of each criterion as soon as it is known.

    The model that knows the right answers is loaded after the load: it would take processor time.

    Args:
        grade: its machine has been measured.
        submission: what is started.
        plan: of the load.
        loaded_once: the result of criterion 2, which the load may change; None without one.

    Raises:
        ServiceFault: the service cannot be started.
    """
    rate = grade.machine.target_rate if grade.machine else TARGET_RATE
    maker = PhotoMaker(grade.seed)
    with RunningService(submission) as service:
        grade.say(_("ready after {seconds:.1f} s").format(seconds=service.wait_until_ready()))
        asked = ask_one_by_one(service.port, grade.seed, maker)
        grade.say(_("photos of all kinds were sent; now the load"))
        load.warm_up(service.port, maker, rate, grade.seed)
        own = submission.folder.parent
        with MemoryWatch(service) as watch, watch_files(own) as files:
            run = load.send_target(service, grade, plan, maker, rate)
            opened = files.take() if files else []
        if loaded_once is not None and files and files.complete:
            yield judge_load(loaded_once, submission, opened)
        yield memory.judge(grade, submission, watch)
        load.send_steps(service.port, run, plan, maker, grade.seed, grade.say)
        sampled = run.main.sample(plan.sampled, grade.seed)
        truth = Truth(grade.model)
        truth.load_meanwhile()
        yield availability.judge(
            grade, submission, service, sampled[:_KNOWN], float((~run.main.seen.ok).mean())
        )
    grade.say(_("the research model answers the same photos"))
    result, _compared = answers.judge(asked, sampled, truth)
    _keep_right_steps(run, plan, truth, grade.seed)
    wrong = [one.text for one in result.checks if one.passed is False and one.id in _OF_ANSWERS]
    yield load.judge(grade, run, wrong[0] if wrong else None)
    yield result


def _keep_right_steps(run: LoadRun, plan: Plan, truth: Truth, seed: int) -> None:
    """Drop the first step whose answers were not the model's, and all after it."""
    for number, step in enumerate(run.steps):
        sample = step.sample(plan.sampled_step, seed)
        try:
            parsed = [parse(body, truth.labels) for _photo, body in sample]
        except WrongForm:
            del run.steps[number:]
            return
        compared = truth.compare([photo for photo, _body in sample], parsed)
        if compared.agreement < bounds.HOPELESS or compared.quantile(0.5) > bounds.MOST_MEDIAN:
            del run.steps[number:]
            return
