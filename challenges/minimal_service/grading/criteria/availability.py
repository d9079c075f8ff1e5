"""Criterion 6: killed, it is soon back; asked to stop, it first answers what it has accepted."""

import math
import threading
import time
from collections.abc import Sequence

from challenges.load.observations import Observations
from challenges.minimal_service.grading.context import Grade, Report
from challenges.minimal_service.grading.criteria.drain import drain, judge_drain
from challenges.minimal_service.grading.criteria.load import send
from challenges.minimal_service.grading.measuring.calibration import slowness
from challenges.minimal_service.grading.measuring.cpu_meter import MOST_OTHERS, CpuMeter
from challenges.minimal_service.grading.sandbox.client import (
    Answer,
    ask,
    predictions_of,
    same_predictions,
)
from challenges.minimal_service.grading.submission.running import RunningService, ServiceFault
from challenges.minimal_service.grading.submission.submission import Submission
from challenges.minimal_service.grading.verdict import CriterionResult
from learner.language import _

LESSON = "04_model_service.ipynb#cell-id=available"
BACK_S = 20.0
"""From the kill to the first right answer, on a machine that is not slow (`machine.slowness`)."""
_LOAD_S = 1.5
_GENTLE_RATE = 20.0
"""Requests a second after the return."""
_TIMEOUT_S = 15.0
Known = tuple[bytes, bytes]
"""A photo and the body of the answer that it got before."""


def judge(
    grade: Grade,
    submission: Submission,
    service: RunningService,
    known: Sequence[Known],
    failing: float = 0.0,
) -> CriterionResult:
    """Kill the running service under load and start it again; then drain the new one.

    Args:
        grade: its machine says how long the return may take.
        submission: what is started again, on the same port, as a supervisor does.
        service: running; it is dead afterwards.
        known: photos and their answers, to see that the service is right again.
        failing: share of the requests that failed before, under the load at the target rate. A
            service that is too slow loses that criterion, and not this one as well.
    """
    report = Report("availability", lesson=LESSON)
    if not known:
        text = _("The service answered no photo, so there is nothing to be available.")
        report.check("answers-at-all", False, text, text)
        return report.result()
    rate = grade.machine.target_rate if grade.machine else 50.0
    killed = _kill_under_load(service, known, rate, grade.seed)
    meter = CpuMeter()
    try:
        with RunningService(submission, port=service.port) as again:
            again.wait_until_ready()
            _judge_return(report, again, known, killed, failing, grade, meter)
            judge_drain(report, drain(again, [photo for photo, _body in known]))
    except ServiceFault as fault:
        report.check("back", False, str(fault), str(fault))
    return report.result()


def _kill_under_load(
    service: RunningService, known: Sequence[Known], rate: float, seed: int
) -> float:
    """When it was killed, by time.monotonic()."""
    photos = _cycled(known, rate)
    sender = threading.Thread(target=send, args=(service.port, photos, rate, seed), daemon=True)
    sender.start()
    time.sleep(_LOAD_S / 2)
    killed = time.monotonic()
    service.kill()
    sender.join(_TIMEOUT_S + _LOAD_S)
    return killed


def _cycled(known: Sequence[Known], rate: float) -> list[bytes]:
    count = max(4, round(rate * _LOAD_S))
    return [known[number % len(known)][0] for number in range(count)]


def _judge_return(
    report: Report,
    again: RunningService,
    known: Sequence[Known],
    killed: float,
    failing: float,
    grade: Grade,
    meter: CpuMeter,
) -> None:
    most = BACK_S * slowness(grade.machine)
    right = answered = False
    while not answered and time.monotonic() - killed < 2 * most:
        try:
            reply = ask(again.port, "/predict", _TIMEOUT_S, known[0][0])
        except OSError:
            time.sleep(0.05)
            continue
        answered = reply.status == 200
        right = answered and _is_right(reply, known[0][1])
    back = time.monotonic() - killed
    busy = meter.others(again.pids()) > MOST_OTHERS
    report.measured["back_s"] = back
    text = _("{back:.1f} s after it was killed, a photo was answered; at most {most:.0f} s.")
    text = text.format(back=back, most=most)
    cause = _(
        "The service takes too long to start, or answers otherwise after it. Leave out of the "
        "start whatever can be done when the artifact is built."
    )
    if right and back > most and busy:
        text = _("{text} Other programs took much of the processor meanwhile.").format(text=text)
        report.check("back", None, text)
    else:
        report.check("back", right and back <= most, text, cause)
    seen = send(again.port, _cycled(known, _GENTLE_RATE), _GENTLE_RATE, grade.seed + 1).seen
    wrong = _wrong(seen, known)
    failed = int((~seen.ok).sum())
    text = _("Of {n} requests after that, {failed} failed and {wrong} were answered otherwise.")
    text = text.format(n=len(seen.status), failed=failed, wrong=wrong)
    cause = _(
        "After a restart the service is ready before it can hold the load: warm up with forward "
        "passes before /readyz answers 200, and keep no state that a restart loses."
    )
    as_before = math.ceil(min(1.0, 2 * failing) * len(seen.status))
    report.check("right-again", wrong == 0 and failed <= as_before, text, cause)


def _wrong(seen: Observations, known: Sequence[Known]) -> int:
    return seen.wrong(
        lambda number, body: _is_right(Answer(200, "", body), known[number % len(known)][1])
    )


def _is_right(reply: Answer, before: bytes) -> bool:
    now, then = predictions_of(reply), predictions_of(Answer(200, "", before))
    return bool(now and then and same_predictions(then, now))
