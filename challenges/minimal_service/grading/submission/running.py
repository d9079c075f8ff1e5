"""Runs a submission's service: starts it cleanly, asks it, and ends it without a trace."""

import contextlib
import json
import math
import shutil
import socket
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from challenges.load.client import Answer, ask
from challenges.minimal_service.grading.sandbox.environment import clean_environment
from challenges.minimal_service.grading.sandbox.process import MOST_BYTES, Contained, ServiceFault
from learner.language import _

if TYPE_CHECKING:
    from challenges.minimal_service.grading.submission.submission import Submission

READY_SECONDS = 120.0
"""Longest start that is waited for."""
ELSEWHERE_SECONDS = 3.0
"""A service that is ready on another port for this long will not come to the right one."""
ANSWER_SECONDS = 30.0
Predictions = list[tuple[int, float]]
"""Class ids and probabilities."""


def read_predictions(body: bytes) -> Predictions | None:
    """Return what an answer of /predict with status 200 says, or None if it is not one."""
    try:
        predictions = json.loads(body)["predictions"]
        pairs = [(int(one["class_id"]), float(one["probability"])) for one in predictions]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return pairs if pairs and all(math.isfinite(share) for _id, share in pairs) else None


def same_predictions(one: Predictions | None, other: Predictions | None) -> bool:
    """Return whether both are answers, with the same first class and probabilities to 0.01.

    The same file on the same machine differs in the last bits only, but which images share a batch
    is chance, and sums in another order round differently.
    """
    if not one or not other:
        return False
    known = dict(other)
    return one[0][0] == other[0][0] and all(
        abs(probability - known.get(class_id, probability)) <= 0.01 for class_id, probability in one
    )


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RunningService(Contained):
    """The service of a submission, in a clean environment, on a port of its own.

    As a context manager it is killed on the way out. It leaves no process, port, temporary file or
    shared memory behind.

    Args:
        submission: what to start.
        port: to listen on; a free one, if not given.
        prefix: put before the command, such as `unshare --net`.
        environment: variables besides those of the clean environment.
        most_bytes: that it may write to the disk.
    """

    def __init__(
        self,
        submission: "Submission",
        *,
        port: int | None = None,
        prefix: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.port = free_port() if port is None else port
        # HOME and TMPDIR of the service, thrown away at the end.
        self.home = Path(tempfile.mkdtemp(prefix="home-", dir=submission.folder.parent))
        try:
            super().__init__(
                [*prefix, *submission.command(self.port)],
                {**clean_environment(submission.python, self.home), **(environment or {})},
                submission.folder,
                [submission.folder, self.home],
                most_bytes,
            )
        except BaseException:
            shutil.rmtree(self.home, ignore_errors=True)
            raise

    def predict(self, photo: bytes) -> Predictions | None:
        """Return its answer to a photo; None: there is none, or not a right one."""
        with contextlib.suppress(OSError):
            reply = ask(self.port, "/predict", ANSWER_SECONDS, photo)
            return read_predictions(reply.body) if reply.status == 200 else None
        return None

    def wait_until_ready(self, seconds: float = READY_SECONDS) -> float:
        """Wait for 200 at /readyz; return the seconds since the start.

        Raises:
            ServiceFault: it ended, is not ready in time, answers HTML, listens elsewhere, filled
                the disk, or another program has its port. It is killed then.
        """
        try:
            return self._wait_until_ready(seconds)
        except BaseException:
            self.kill()
            raise

    def _wait_until_ready(self, seconds: float) -> float:
        reply: Answer | None = None
        elsewhere_since: float | None = None
        looked = 0.0
        while (passed := time.monotonic() - self.started) < seconds:
            if not self.running:
                raise self._ended()
            try:
                reply = ask(self.port)
            except OSError:
                if passed - looked > 0.5:
                    looked = passed
                    elsewhere = self._ready_elsewhere()
                    elsewhere_since = (elsewhere_since or passed) if elsewhere else None
                    if elsewhere_since and passed - elsewhere_since > ELSEWHERE_SECONDS:
                        raise self._listens_elsewhere(elsewhere) from None
            else:
                if reply.status == 200:
                    ready = time.monotonic() - self.started
                    self._check_owner()
                    if reply.is_html:
                        raise self._answers_html()
                    return ready
            time.sleep(0.02)
        raise self._not_ready(seconds, reply)

    def listening_ports(self) -> list[int]:
        """Return the TCP ports that its processes listen on."""
        ports: set[int] = set()
        for pid in self.pids():
            with contextlib.suppress(psutil.Error, OSError):
                for connection in psutil.Process(pid).net_connections("tcp"):
                    if connection.status == psutil.CONN_LISTEN:
                        ports.add(connection.laddr.port)
        return sorted(ports)

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
        """Raise a fault if any other program listens on the port."""
        own = set(self.pids())
        try:
            listeners = {
                connection.pid
                for connection in psutil.net_connections("tcp")
                if connection.status == psutil.CONN_LISTEN and connection.laddr.port == self.port
            }
            right = bool(listeners) and listeners <= own
        except (psutil.Error, OSError):  # outside Linux, users see their own processes only
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

    def _not_ready(self, seconds: float, reply: Answer | None) -> ServiceFault:
        if reply is None and (ports := self.listening_ports()):
            if self.port not in ports:
                return self._listens_elsewhere(ports)
            sentence = _(
                "The service was not ready within {seconds:g} s: it listens on its port, but "
                "GET /readyz is not answered. The last that it said: {last}"
            )
        elif reply is None:
            sentence = _(
                "The service was not ready within {seconds:g} s: it does not listen on port "
                "{port}. The last that it said: {last}"
            )
        elif reply.status == 0:
            sentence = _(
                "The service was not ready within {seconds:g} s: what it sends on port {port} is "
                "not HTTP. The last that it said: {last}"
            )
        else:
            sentence = _(
                "The service was not ready within {seconds:g} s: GET /readyz was answered with "
                "{status} instead of 200. The last that it said: {last}"
            )
        status = reply.status if reply else 0
        return ServiceFault(
            "not-ready",
            sentence.format(seconds=seconds, port=self.port, status=status, last=self.last_words),
        )
