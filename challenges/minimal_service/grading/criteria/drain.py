"""How a service ends when it is asked to: what was accepted, must be answered."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from challenges.load.generator import Target
from challenges.minimal_service.grading.context import Report
from challenges.minimal_service.grading.measuring.photos import slow_photo
from challenges.minimal_service.grading.sandbox.client import ask
from challenges.minimal_service.grading.submission.running import RunningService
from learner.language import _

EXIT_S = 40.0
IN_FLIGHT = 4
"""Requests that the service has accepted and not answered when SIGTERM comes."""
_TIMEOUT_S = 15.0
Outcome = Literal["answered", "unavailable", "error", "refused", "broken"]


class _Request(threading.Thread):
    """One request on a connection of its own."""

    def __init__(self, port: int, body: bytes) -> None:
        super().__init__(daemon=True)
        self._port, self._request = port, Target(port).request(body)
        self.sent = threading.Event()
        """Wholly sent, or failed."""
        self.outcome: Outcome = "broken"
        self.start()

    def run(self) -> None:
        try:
            with socket.create_connection(("127.0.0.1", self._port), _TIMEOUT_S) as connection:
                connection.sendall(self._request)
                self.sent.set()
                self.outcome = _outcome(connection)
        except ConnectionRefusedError:
            self.outcome = "refused"
        except OSError:
            self.outcome = "broken"
        finally:
            self.sent.set()


def _outcome(connection: socket.socket) -> Outcome:
    deadline = time.monotonic() + _TIMEOUT_S
    received = b""
    while time.monotonic() < deadline and len(received) < 1 << 16:
        chunk = connection.recv(1 << 14)
        received += chunk
        head, blank, body = received.partition(b"\r\n\r\n")
        if not chunk:
            break
        if blank and _is_whole(head, body):
            status = head[9:12]
            return (
                "answered" if status == b"200" else "unavailable" if status == b"503" else "error"
            )
    return "broken"


def _is_whole(head: bytes, body: bytes) -> bool:
    for line in head.lower().split(b"\r\n")[1:]:
        name, _colon, value = line.partition(b":")
        if name == b"content-length" and value.strip().isdigit():
            return len(body) >= int(value)
        if name == b"transfer-encoding":
            return body.endswith(b"0\r\n\r\n")
    return False  # it ends with the connection


@dataclass(slots=True)
class Drained:
    """What was seen of one SIGTERM."""

    usual: Counter[str]
    """Outcomes of as many requests at once, without a SIGTERM."""
    before: Counter[str]
    """Outcomes of the requests that were wholly sent before it."""
    after: Counter[str]
    """Of those that came after it, on connections of their own."""
    turned_away: bool
    """/readyz was no longer 200, or the port was closed, before the process ended."""
    status: int | None
    """Exit status; None: it did not end."""
    seconds: float
    """From SIGTERM to its end."""


def drain(service: RunningService, photos: Sequence[bytes]) -> Drained:
    """Ask the service to stop while requests are on their way, and send more."""
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
    """Requests at once; returns when all are wholly sent, and accepted by the service."""
    requests = [_Request(port, photo) for _number in range(IN_FLIGHT)]
    for request in requests:
        request.sent.wait(_TIMEOUT_S)
    _is_ready(port)  # connections are accepted in turn: who answers this one has the others
    return requests


def _is_ready(port: int) -> bool:
    try:
        return ask(port, "/readyz", 1.0).status == 200
    except OSError:
        return False


def judge_drain(report: Report, found: Drained) -> None:
    """Add the checks of what was seen."""
    # Of so many at once a service may refuse some with 503, as it does at other times.
    refused = max(0, found.before["unavailable"] - found.usual["unavailable"] - IN_FLIGHT // 4)
    lost = IN_FLIGHT - found.before["answered"] - found.before["unavailable"] + refused
    text = _("{lost} of {n} requests that had been sent when SIGTERM came were lost.")
    text = text.format(lost=lost, n=IN_FLIGHT)
    cause = _(
        "SIGTERM ended the service while requests were on their way. Answer what was accepted, "
        "then close the port and end."
    )
    report.check("drained", lost == 0, text, cause)
    # One connection may meet the very moment at which the port is closed.
    broken = max(0, found.after["broken"] - 1) + found.after["error"]
    text = _("Of {n} requests after SIGTERM, {broken} were accepted and then lost.")
    text = text.format(n=found.after.total(), broken=broken)
    cause = _(
        "After SIGTERM the service took requests that it did not answer. Answer them, or answer "
        "503, or close the port so that they are refused."
    )
    report.check("no-loss-after-sigterm", broken == 0, text, cause)
    text = (
        _("After SIGTERM /readyz turned away from 200, or the port was closed.")
        if found.turned_away
        else _("5 s after SIGTERM /readyz was still answered with 200.")
    )
    cause = _("Answer /readyz with 503 from SIGTERM on, so that no more requests are sent.")
    report.check("not-ready-after-sigterm", found.turned_away, text, cause)
    if found.status is None:
        text = _("{seconds:.0f} s after SIGTERM the service had not ended.")
    else:
        text = _("The service ended {seconds:.1f} s after SIGTERM with exit status {status}.")
        report.measured["drain_s"] = found.seconds
    cause = _("After the drain the service must end by itself within {most:g} s, with status 0.")
    report.check(
        "exit-status",
        found.status == 0,
        text.format(seconds=found.seconds, status=found.status),
        cause.format(most=EXIT_S),
    )
