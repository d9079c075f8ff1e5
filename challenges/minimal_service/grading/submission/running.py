"""The submission's service as a process: started cleanly, watched, and ended without a trace."""

import contextlib
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from challenges.minimal_service.grading.sandbox.client import Answer, ask, free_port
from challenges.minimal_service.grading.sandbox.environment import clean_environment
from challenges.minimal_service.grading.sandbox.process import MOST_BYTES, Contained, ServiceFault
from learner.language import _

if TYPE_CHECKING:
    from challenges.minimal_service.grading.submission.submission import Submission

__all__ = ["Answer", "RunningService", "ServiceFault", "ask", "free_port"]

READY_SECONDS = 120.0
"""A start that takes longer is not waited for."""
ELSEWHERE_SECONDS = 3.0
"""Ready on another port for so long, it will not come to the right one."""


class RunningService(Contained):
    """The service of a submission, in a clean environment, on a port of its own.

    As a context manager it is killed on the way out; nothing of it is left: no process, port,
    temporary file or shared memory.

    Args:
        submission: what to start.
        port: to listen on; a free one, if not given.
        folder: where to start it; the clean copy, if not given.
        artifact: the artifact; the submission's, if not given.
        prefix: put before the command, such as `unshare --net`.
        environment: variables besides those of the clean environment.
        most_bytes: that it may write to the disk.
    """

    def __init__(
        self,
        submission: "Submission",
        *,
        port: int | None = None,
        folder: Path | None = None,
        artifact: Path | None = None,
        prefix: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.port = free_port() if port is None else port
        self.url = f"http://127.0.0.1:{self.port}"
        folder = submission.folder if folder is None else folder
        # Its HOME and TMPDIR, thrown away at the end.
        self.home = Path(tempfile.mkdtemp(prefix="home-", dir=submission.folder.parent))
        try:
            super().__init__(
                [*prefix, *submission.command(self.port, artifact)],
                {**clean_environment(submission.python, self.home), **(environment or {})},
                folder,
                [folder, self.home],
                most_bytes,
            )
        except BaseException:
            shutil.rmtree(self.home, ignore_errors=True)
            raise

    def wait_until_ready(self, seconds: float = READY_SECONDS) -> float:
        """Wait for 200 at /readyz. Returns the seconds since the start.

        Raises:
            ServiceFault: it ended, is not ready in time, answers HTML, listens elsewhere, filled
                the disk, or another program has its port. It was killed then.
        """
        try:
            return self._wait_until_ready(seconds)
        except BaseException:
            self.kill()
            raise

    def _wait_until_ready(self, seconds: float) -> float:
        heard: Answer | None = None
        elsewhere_since: float | None = None
        looked = 0.0
        while (passed := time.monotonic() - self.started) < seconds:
            if not self.running:
                raise self._ended()
            try:
                heard = ask(self.port)
            except OSError:
                if passed - looked > 0.5:
                    looked = passed
                    elsewhere = self._ready_elsewhere()
                    elsewhere_since = (elsewhere_since or passed) if elsewhere else None
                    if elsewhere_since and passed - elsewhere_since > ELSEWHERE_SECONDS:
                        raise self._listens_elsewhere(elsewhere) from None
            else:
                if heard.status == 200:
                    ready = time.monotonic() - self.started
                    self._check_owner()
                    if heard.is_html:
                        raise self._answers_html()
                    return ready
            time.sleep(0.02)
        raise self._not_ready(seconds, heard)

    def stop(self, seconds: float = 40) -> int | None:
        """Ask it to stop, kill what is left after `seconds`. Its exit status; None: killed."""
        return super().stop(seconds)

    def listening_ports(self) -> list[int]:
        """The TCP ports that its processes listen on."""
        found: set[int] = set()
        for pid in self.pids():
            with contextlib.suppress(psutil.Error, OSError):
                for connection in psutil.Process(pid).net_connections("tcp"):
                    if connection.status == psutil.CONN_LISTEN:
                        found.add(connection.laddr.port)
        return sorted(found)

    def _end(self) -> None:
        super()._end()
        shutil.rmtree(self.home, ignore_errors=True)

    def _ready_elsewhere(self) -> list[int]:
        ready = []
        for port in self.listening_ports():
            with contextlib.suppress(OSError):
                if port != self.port and ask(port, seconds=0.5).status == 200:
                    ready.append(port)
        return ready

    def _check_owner(self) -> None:
        """It must be its own processes that listen there, and nobody else."""
        own = set(self.pids())
        try:
            listeners = {
                connection.pid
                for connection in psutil.net_connections("tcp")
                if connection.status == psutil.CONN_LISTEN and connection.laddr.port == self.port
            }
            right = bool(listeners) and listeners <= own
        except (psutil.Error, OSError):  # but on Linux, a user may look at their own only
            right = self.port in self.listening_ports()
        if not right:
            sentence = _(
                "Port {port} is answered by a program that is not the service. "
                "End that program, and start the service so that it stays a child of its command."
            )
            raise ServiceFault("wrong-service", sentence.format(port=self.port))

    def _ended(self) -> ServiceFault:
        status = self.wait(0)
        self.kill()  # waits for its last words
        if self.fault is not None:
            return self.fault
        sentence = _(
            "The service ended before it was ready, with exit status {status}. "
            "The last that it said: {last}"
        )
        return ServiceFault("ended", sentence.format(status=status, last=self.last_words))

    def _listens_elsewhere(self, ports: list[int]) -> ServiceFault:
        sentence = _(
            "The service listens on port {found} instead of {port}. "
            "Take the port from the command line: {{port}} in service.toml's start."
        )
        found = ", ".join(str(port) for port in ports)
        return ServiceFault("other-port", sentence.format(found=found, port=self.port))

    def _answers_html(self) -> ServiceFault:
        sentence = _(
            "GET /readyz was answered with a page of HTML. Expected a short answer of the service "
            "itself: a web site or a proxy seems to stand in front of it."
        )
        return ServiceFault("html", sentence)

    def _not_ready(self, seconds: float, heard: Answer | None) -> ServiceFault:
        if heard is None and (ports := self.listening_ports()):
            if self.port not in ports:
                return self._listens_elsewhere(ports)
            sentence = _(
                "The service was not ready within {seconds:g} s: it listens on its port, but "
                "GET /readyz is not answered. The last that it said: {last}"
            )
        elif heard is None:
            sentence = _(
                "The service was not ready within {seconds:g} s: it does not listen on port "
                "{port}. The last that it said: {last}"
            )
        elif heard.status == 0:
            sentence = _(
                "The service was not ready within {seconds:g} s: what it sends on port {port} is "
                "not HTTP. The last that it said: {last}"
            )
        else:
            sentence = _(
                "The service was not ready within {seconds:g} s: GET /readyz was answered with "
                "{status} instead of 200. The last that it said: {last}"
            )
        status = heard.status if heard else 0
        return ServiceFault(
            "not-ready",
            sentence.format(seconds=seconds, port=self.port, status=status, last=self.last_words),
        )
