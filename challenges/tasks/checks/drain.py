"""Task drain: on SIGTERM "not ready" first, then the end, and nothing that was accepted is lost."""

import threading
import time
from pathlib import Path

from challenges.load.client import ask
from challenges.minimal_service.grading.context import Report
from challenges.minimal_service.grading.criteria.availability import drain, judge_drain
from challenges.minimal_service.grading.sandbox.process import ServiceFault
from challenges.tasks.checking import Wrong
from challenges.tasks.serving import READY_SECONDS, Server, let_stand_in
from learner.language import _

LOOK = "server.py, DrainingServer.handle_exit"
WORK_S = 0.3
ON_S = 1.0
"""At least so long after SIGTERM the port stays open: until then others may not have heard."""


class _Watched(Server):
    """Notes what /readyz says from SIGTERM on."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, work_s=WORK_S)
        self.seen: list[tuple[float, int]] = []
        """Seconds since SIGTERM, and the status; 0 where nobody answered."""
        self._watcher = threading.Thread(target=self._look, daemon=True)

    def ask_to_stop(self) -> None:
        super().ask_to_stop()
        self._watcher.start()

    def _look(self) -> None:
        asked = time.monotonic()
        while self.running:
            try:
                status = ask(self.port, "/readyz", 1.0).status
            except OSError:
                status = 0
            self.seen.append((time.monotonic() - asked, status))
            time.sleep(0.02)


def check(folder: Path) -> None:
    """Send SIGTERM while requests are on their way.

    Raises:
        Wrong: a request was lost, /readyz said nothing, or the end was not one.
    """
    let_stand_in(folder)
    with _Watched(folder) as server:
        try:
            server.wait_until_ready(READY_SECONDS)
        except ServiceFault as fault:
            raise Wrong(
                expected=_("The service starts."), found=str(fault), look="server.py"
            ) from fault
        found = drain(server, [b"an image"])
        seen = list(server.seen)
    report = Report("availability")
    judge_drain(report, found)
    expected = _expected()
    for judged in report.checks:
        if judged.passed is False:
            raise Wrong(expected=expected[judged.id], found=judged.text, look=LOOK)
    _check_notice(seen)


def _expected() -> dict[str, str]:
    """What is asked for, by the ids of the grader's checks."""
    return {
        "drained": _("Requests that are on their way when SIGTERM comes are answered."),
        "no-loss-after-sigterm": _("Requests after SIGTERM are answered, or refused at the port."),
        "not-ready-after-sigterm": _("From SIGTERM on /readyz says 503."),
        "exit-status": _("After the drain the process ends by itself, with exit status 0."),
    }


def _check_notice(seen: list[tuple[float, int]]) -> None:
    """The port must stay open for a while, so that "not ready" can be heard."""
    heard = [at for at, status in seen if status == 503]
    if not heard:
        raise Wrong(
            expected=_("After SIGTERM the port stays open, and /readyz says 503."),
            found=_("Nobody could hear a 503: the port was closed at once."),
            look=LOOK,
        )
    if heard[-1] < ON_S:
        raise Wrong(
            expected=_("For DRAIN_SECONDS after SIGTERM the service still answers."),
            found=_("The last answer of /readyz came {seconds:.1f} s after SIGTERM.").format(
                seconds=heard[-1]
            ),
            look=LOOK,
        )
