"""Criterion 6: killed, it is soon back; asked to stop, it first answers what it has accepted."""

import math
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from challenges.load.client import ask
from challenges.load.observations import Observations
from challenges.minimal_service.grading.context import Grade, Report
from challenges.minimal_service.grading.criteria.load import send
from challenges.minimal_service.grading.measuring.calibration import slowness
from challenges.minimal_service.grading.measuring.photos import slow_photo
from challenges.minimal_service.grading.sandbox.process import ServiceFault
from challenges.minimal_service.grading.submission.running import (
    RunningService,
    read_predictions,
    same_predictions,
)
from challenges.minimal_service.grading.submission.submission import Submission
from challenges.minimal_service.grading.verdict import LESSONS, CriterionResult
from learner.cpu_meter import MOST_OTHERS, CpuMeter
from learner.language import _

BACK_S = 20.0
"""Longest time from the kill to the first right answer, on a machine that is not slow."""
EXIT_S = 40.0
"""Longest time from SIGTERM to the end."""
IN_FLIGHT = 4
"""Requests accepted and not yet answered when SIGTERM comes."""
_LOAD_S = 1.5
_GENTLE_RATE = 20.0
"""Requests a second that are sent after the return."""
_TIMEOUT_S = 15.0
Known = tuple[bytes, bytes]
"""A photo and the body of its earlier answer."""
Outcome = Literal["answered", "unavailable", "error", "refused", "broken"]
_OUTCOMES: dict[int, Outcome] = {200: "answered", 503: "unavailable"}


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
        known: photos and their answers, to check that the service is right again.
        failing: share of the requests that failed under the load at the target rate: a service
            that is too slow loses that criterion, but not this one as well.
    """
    report = Report("availability", lesson=LESSONS["availability"])
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
    """Return when it was killed, by time.monotonic()."""
    photos = _cycle(known, rate)
    sender = threading.Thread(target=send, args=(service.port, photos, rate, seed), daemon=True)
    sender.start()
    time.sleep(_LOAD_S / 2)
    killed = time.monotonic()
    service.kill()
    sender.join(_TIMEOUT_S + _LOAD_S)
    return killed


def _cycle(known: Sequence[Known], rate: float) -> list[bytes]:
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
        right = answered and _is_right(reply.body, known[0][1])
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
    seen = send(again.port, _cycle(known, _GENTLE_RATE), _GENTLE_RATE, grade.seed + 1).seen
    wrong = _count_wrong(seen, known)
    failed = int((~seen.ok).sum())
    text = _("Of {n} requests after that, {failed} failed and {wrong} were answered otherwise.")
    as_before = math.ceil(min(1.0, 2 * failing) * len(seen.status))
    right, n = wrong == 0 and failed <= as_before, len(seen.status)
    cause = _explain_return(wrong, failed > as_before)
    report.check("right-again", right, text, cause, n=n, failed=failed, wrong=wrong)


def _explain_return(wrong: int, failed: bool) -> str:
    """Return the likely cause of wrong answers, or of failed requests, after a restart."""
    if failed:
        return _(
            "After a restart the service is ready before it can hold the load: warm up with "
            "forward passes before /readyz answers 200."
        )
    return _(
        "After a restart the answers to the same photos differ from those before. Either the "
        "service kept a state that the restart lost, or an answer depends on what is computed "
        "beside it: for example on other images of its batch, if they share one scale of an "
        "int8 rounding."
    )


def _count_wrong(seen: Observations, known: Sequence[Known]) -> int:
    return seen.wrong(lambda number, body: _is_right(body, known[number % len(known)][1]))


def _is_right(body: bytes, before: bytes) -> bool:
    return same_predictions(read_predictions(before), read_predictions(body))


class _Request(threading.Thread):
    """A request on a connection of its own."""

    def __init__(self, port: int, body: bytes) -> None:
        super().__init__(daemon=True)
        self._port, self._body = port, body
        self.sent = threading.Event()
        """Set once it is wholly sent, or has failed."""
        self.outcome: Outcome = "broken"
        self.start()

    def run(self) -> None:
        try:
            reply = ask(self._port, "/predict", _TIMEOUT_S, self._body, self.sent.set)
            if reply.whole:
                self.outcome = _OUTCOMES.get(reply.status, "error")
        except ConnectionRefusedError:
            self.outcome = "refused"
        except OSError:
            pass
        finally:
            self.sent.set()


@dataclass(slots=True)
class Drained:
    """What happened around one SIGTERM."""

    usual: Counter[str]
    """Outcomes of as many simultaneous requests without a SIGTERM."""
    before: Counter[str]
    """Outcomes of the requests that were wholly sent before it."""
    after: Counter[str]
    """Outcomes of the requests sent after it."""
    turned_away: bool
    """/readyz was no longer 200, or the port was closed, before the process ended."""
    status: int | None
    """Exit status; None: it did not end."""
    seconds: float
    """From SIGTERM to its end."""


def drain(service: RunningService, photos: Sequence[bytes]) -> Drained:
    """Ask the service to stop while requests are in flight, and send more."""
    slow = slow_photo()
    usual = _burst(service.port, slow)
    for request in usual:
        request.join(_TIMEOUT_S + 1)
    requests = _burst(service.port, slow)
    asked = time.monotonic()
    service.ask_to_stop()
    later: list[_Request] = []
    turned_away = False
    while service.running and not turned_away and time.monotonic() - asked < 5:
        later.append(_Request(service.port, photos[len(later) % len(photos)]))
        turned_away = not _is_ready(service.port)
        time.sleep(0.05)
    status = service.wait(max(0.0, EXIT_S - (time.monotonic() - asked)))
    seconds = time.monotonic() - asked
    for request in (*requests, *later):
        request.join(_TIMEOUT_S + 1)
    return Drained(
        usual=Counter(request.outcome for request in usual),
        before=Counter(request.outcome for request in requests),
        after=Counter(request.outcome for request in later),
        turned_away=turned_away or status is not None,
        status=status,
        seconds=seconds,
    )


def _burst(port: int, photo: bytes) -> list[_Request]:
    """Send requests at once; return when all are wholly sent and accepted."""
    requests = [_Request(port, photo) for _number in range(IN_FLIGHT)]
    for request in requests:
        request.sent.wait(_TIMEOUT_S)
    _is_ready(port)  # connections are accepted in turn, so the others are accepted by now
    return requests


def _is_ready(port: int) -> bool:
    try:
        return ask(port, "/readyz", 1.0).status == 200
    except OSError:
        return False


def judge_drain(report: Report, drained: Drained) -> None:
    """Add the checks of what happened around a SIGTERM."""
    # A service may refuse some of this many with 503, as it does at other times.
    refused = max(0, drained.before["unavailable"] - drained.usual["unavailable"] - IN_FLIGHT // 4)
    lost = IN_FLIGHT - drained.before["answered"] - drained.before["unavailable"] + refused
    text = _("{lost} of {n} requests that had been sent when SIGTERM came were lost.")
    cause = _(
        "SIGTERM ended the service while requests were on their way. Answer what was accepted, "
        "then close the port and end."
    )
    report.check("drained", lost == 0, text, cause, lost=lost, n=IN_FLIGHT)
    # One connection may meet the very moment at which the port is closed.
    broken = max(0, drained.after["broken"] - 1) + drained.after["error"]
    text = _("Of {n} requests after SIGTERM, {broken} were accepted and then lost.")
    cause = _(
        "After SIGTERM the service took requests that it did not answer. Answer them, or answer "
        "503, or close the port so that they are refused."
    )
    n = drained.after.total()
    report.check("no-loss-after-sigterm", broken == 0, text, cause, n=n, broken=broken)
    text = (
        _("After SIGTERM /readyz turned away from 200, or the port was closed.")
        if drained.turned_away
        else _("5 s after SIGTERM /readyz was still answered with 200.")
    )
    cause = _("Answer /readyz with 503 from SIGTERM on, so that no more requests are sent.")
    report.check("not-ready-after-sigterm", drained.turned_away, text, cause)
    if drained.status is None:
        text = _("{seconds:.0f} s after SIGTERM the service had not ended.")
    else:
        text = _("The service ended {seconds:.1f} s after SIGTERM with exit status {status}.")
        report.measured["drain_s"] = drained.seconds
    cause = _("After the drain the service must end by itself within {most:g} s, with status 0.")
    values = {"seconds": drained.seconds, "status": drained.status, "most": EXIT_S}
    report.check("exit-status", drained.status == 0, text, cause, **values)
