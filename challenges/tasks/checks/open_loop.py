"""Task open-loop: requests leave when they are due, and their waiting counts from then."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from challenges.tasks.checking import Wrong, own_module, place_of, said
from learner.language import _

LOOK = "sender.py, send"
WORK_S, GAP_S, COUNT = 0.06, 0.03, 16
LATE_S = 0.4
FAILS = 5
"""The request that fails."""
TOLERANCE_S = 0.15
"""How late a moment may be, on a machine that does other things as well."""
RUNS = 2
"""A machine may be busier than that for once. Wrong code is wrong again."""


class _Service:
    """Answers one request after another, more slowly than they come. Notes when each came."""

    def __init__(self) -> None:
        self.came: dict[int, float] = {}
        self.done: dict[int, float] = {}
        self._one_at_a_time = threading.Lock()

    def request(self, number: int) -> None:
        self.came[number] = time.perf_counter()
        if number == FAILS:
            raise ConnectionError("this request fails on purpose")
        with self._one_at_a_time:
            time.sleep(WORK_S)
        self.done[number] = time.perf_counter()


def check(folder: Path) -> None:
    """Send to a service that is too slow, and compare moments and latencies.

    Raises:
        Wrong: a request waited for another, or its waiting was counted otherwise.
    """
    send = own_module(folder, "sender").send
    for run in range(1, RUNS + 1):
        try:
            _run(send, folder)
        except Wrong:
            if run == RUNS:
                raise
        else:
            return


def _run(send: Callable[..., Any], folder: Path) -> None:
    due = [-LATE_S, *(number * GAP_S for number in range(1, COUNT))]
    service = _Service()
    try:
        answer = send(list(due), service.request)
    except NotImplementedError:
        raise
    except Exception as error:
        raise Wrong(
            expected=_("`send` returns a list, also when a request fails."),
            found=said(error),
            look=place_of(error, folder),
        ) from error
    done = dict(service.done)  # more may come, from a sender that did not wait
    _check_moments(service, due)
    if len(done) < len(due) - 1:
        raise Wrong(
            expected=_("`send` returns when all answers are there."),
            found=_("It returned when {n} of {all} were there.").format(
                n=len(done), all=len(due) - 1
            ),
            look=LOOK,
        )
    _check_latencies(service, due, answer)


def _check_moments(service: _Service, due: list[float]) -> None:
    if len(service.came) < len(due):
        raise Wrong(
            expected=_("All {n} requests are sent.").format(n=len(due)),
            found=_("{n} were sent.").format(n=len(service.came)),
            look=LOOK,
        )
    spread = service.came[len(due) - 1] - service.came[1]
    if spread < due[-1] - due[1] - TOLERANCE_S:
        raise Wrong(
            expected=_("Each request is sent when it is due, and not before."),
            found=_("The last one was sent {ms:.0f} ms after the first, not {due:.0f}.").format(
                ms=spread * 1000, due=(due[-1] - due[1]) * 1000
            ),
            look=LOOK,
        )
    start = _start(service, due)
    late = max(service.came[number] - start - due[number] for number in range(1, len(due)))
    if late > TOLERANCE_S:
        raise Wrong(
            expected=_("Each request is sent when it is due, though earlier ones still wait."),
            found=_("One was sent {ms:.0f} ms late: it waited for others.").format(ms=late * 1000),
            look=LOOK,
        )


def _start(service: _Service, due: list[float]) -> float:
    """The sender's start: nobody sends before the moment."""
    return min(service.came[number] - due[number] for number in range(1, len(due)))


def _check_latencies(service: _Service, due: list[float], answer: Any) -> None:
    if not isinstance(answer, list) or len(answer) != len(due):
        raise Wrong(
            expected=_("`send` returns a list with {n} latencies.").format(n=len(due)),
            found=_("It returned {answer}.").format(answer=repr(answer)[:150]),
            look=LOOK,
        )
    if answer[FAILS] is not None:
        raise Wrong(
            expected=_("A request that raises an error has the latency None."),
            found=_("It had {answer}.").format(answer=repr(answer[FAILS])[:50]),
            look=LOOK,
        )
    start = _start(service, due)
    for number in (*range(1, len(due)), 0):
        latency = answer[number]
        if number == FAILS:
            continue
        right = (service.done[number] - start - due[number]) * 1000
        number_like = isinstance(latency, int | float)
        if number_like and abs(latency - right) < TOLERANCE_S * 1000:
            continue
        expected = (
            _("A request that was due {ms:.0f} ms before the start has waited since then.").format(
                ms=LATE_S * 1000
            )
            if number == 0
            else _("A latency counts in milliseconds, from the moment due to the answer.")
        )
        found = _("For request {number} it was {latency}, not about {right:.0f}.")
        raise Wrong(
            expected=expected,
            found=found.format(number=number, latency=repr(latency)[:50], right=right),
            look=LOOK,
        )
